"""The authority and the certificate of a data directory: made once, kept to ourselves, renewed in time."""

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest
from embedded.certificates import LEAF_LASTS, Certificates, keep_certificates

NOW = datetime.now(UTC)


def _contents(kept: Certificates) -> list[bytes]:
    return [file.read_bytes() for file in (kept.authority, kept.certificate, kept.key)]


def test_what_is_there_is_kept(tmp_path):
    kept = keep_certificates(tmp_path / "secrets", NOW)
    before = _contents(kept)
    assert _contents(keep_certificates(tmp_path / "secrets", NOW + timedelta(days=300))) == before


def test_a_certificate_is_renewed_before_it_ends_and_the_authority_stays(tmp_path):
    authority, certificate, key = _contents(keep_certificates(tmp_path, NOW))
    renewed = _contents(keep_certificates(tmp_path, NOW + LEAF_LASTS - timedelta(days=10)))
    assert renewed[0] == authority
    assert certificate not in renewed
    assert key not in renewed


@pytest.mark.parametrize("lost", ["ca.pem", "ca-key.pem"])
def test_a_lost_authority_is_made_anew_and_signs_anew(tmp_path, lost):
    before = _contents(keep_certificates(tmp_path, NOW))
    (tmp_path / lost).unlink()
    kept = keep_certificates(tmp_path, NOW)
    assert not set(before) & set(_contents(kept))
    assert _verified(kept)


def test_nobody_else_may_read_them(tmp_path):
    keep_certificates(tmp_path / "secrets", NOW)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "secrets").iterdir()}
    assert modes == dict.fromkeys(("ca.pem", "ca-key.pem", "server.pem", "server-key.pem"), 0o600)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_strict_client_that_trusts_the_authority_is_content(tmp_path, name):
    assert _verified(keep_certificates(tmp_path, NOW), name) in {"TLSv1.2", "TLSv1.3"}


def test_one_who_does_not_trust_the_authority_is_not(tmp_path):
    kept = keep_certificates(tmp_path / "here", NOW)
    other = keep_certificates(tmp_path / "elsewhere", NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        _verified(Certificates(other.authority, kept.certificate, kept.key))


def _verified(kept: Certificates, name: str = "localhost") -> str | None:
    """Shake hands over a pair of sockets; the version spoken."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(kept.certificate, kept.key)
    client = ssl.create_default_context(cafile=kept.authority)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()

    def answer() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    answering = threading.Thread(target=answer)
    answering.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as secured:
            return secured.version()
    finally:
        ours.close()
        answering.join()
