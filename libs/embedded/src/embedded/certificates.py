"""A certificate authority of this data directory's own, and the certificate that the gateways show on loopback.

Made once and kept: who has trusted `ca.pem` need not do so again while the authority lasts.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from embedded.errors import EmbeddedError
from embedded.private import private_directory, write_private

AUTHORITY_LASTS = timedelta(days=3650)

LEAF_LASTS = timedelta(days=397)
"""Browsers refuse certificates that last longer."""

RENEWED_BEFORE = timedelta(days=30)
"""Of the leaf's end: suites are started oftener than that, and one that runs on looks every day."""

CLOCKS_DIFFER = timedelta(hours=1)
"""A client whose clock is behind ours must not find the certificate to be of the future."""

LOOK_EVERY_S = 24 * 60 * 60.0

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Certificates:
    """PEM files."""

    authority: Path
    """What a client is told to trust."""
    certificate: Path
    key: Path


def keep_certificates(directory: Path, now: datetime | None = None) -> Certificates:
    """Give what is there; make what is missing, and renew what is about to end."""
    now = now or datetime.now(UTC)
    private_directory(directory)
    kept = Certificates(authority_of(directory), directory / "server.pem", directory / "server-key.pem")
    authority_key = directory / "ca-key.pem"
    if not (kept.authority.exists() and authority_key.exists()) or _ends(kept.authority) < now + RENEWED_BEFORE:
        _make_authority(kept.authority, authority_key, now)
        kept.certificate.unlink(missing_ok=True)
    if not (kept.certificate.exists() and kept.key.exists()) or _ends(kept.certificate) < now + RENEWED_BEFORE:
        _make_leaf(kept, authority_key, now)
    return kept


async def renewing(directory: Path, say: Callable[[str], None]) -> None:
    """Keep them from ending while a suite runs; the gateways take what is new."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            keep_certificates(directory)
        except (EmbeddedError, OSError) as error:  # a full disk; there are weeks in which to try again
            say(f"the certificates could not be looked after today: {error}")


def authority_of(directory: Path) -> Path:
    """What a client is told to trust."""
    return directory / "ca.pem"


def _make_authority(certificate: Path, key_file: Path, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"P2P development authority {x509.random_serial_number():x}"[:64])
    built = (
        _builder(key, name, now, AUTHORITY_LASTS)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(key_file, key)
    _write_certificate(certificate, built)


def _make_leaf(kept: Certificates, authority_key: Path, now: datetime) -> None:
    try:
        signer = load_pem_private_key(authority_key.read_bytes(), password=None)
    except ValueError:
        signer = None
    if not isinstance(signer, Key):
        raise EmbeddedError(
            f"{authority_key} is no key of ours; put it back, or remove it and have all trust a new one"
        )
    authority = x509.load_pem_x509_certificate(kept.authority.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName("localhost"), *(x509.IPAddress(ip_address(host)) for host in ("127.0.0.1", "::1"))]
    built = (
        _builder(key, _name("localhost"), now, LEAF_LASTS)
        .issuer_name(authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    # The key first: a gateway that looks between the two finds no pair, keeps what it has and looks again.
    _write_key(kept.key, key)
    _write_certificate(kept.certificate, built)


def _builder(key: Key, name: x509.Name, now: datetime, lasts: timedelta) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _ends(certificate: Path) -> datetime:
    """What cannot be read as one ended long ago."""
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _write_certificate(file: Path, certificate: x509.Certificate) -> None:
    write_private(file, certificate.public_bytes(Encoding.PEM).decode())


def _write_key(file: Path, key: Key) -> None:
    write_private(file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
