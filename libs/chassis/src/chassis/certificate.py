"""The certificate that a server shows: from two PEM files, read again when they change."""

import os
import re
import ssl
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import structlog

from chassis.metrics import CERTIFICATE_ENDS

log = structlog.stdlib.get_logger()

LOOK_EVERY = timedelta(minutes=1)
"""Certificates are renewed days before they end."""


class CertificateError(Exception):
    """The files are not there, or are no certificate and its key."""


class Certificate:
    """A certificate, its chain, and its key; `context` is for the next connection."""

    def __init__(self, certificate: str | Path, key: str | Path) -> None:
        """Read the files; CertificateError says what is wrong with which."""
        self._certificate = Path(certificate)
        self._key = Path(key)
        self._read_at = self._changed_at()
        self.context = self._read()

    async def look_again(self) -> None:
        """Take the files as they are now; what cannot be used leaves the one we have in place."""
        try:
            changed_at = self._changed_at()
            if changed_at == self._read_at:
                return
            self.context = self._read()
        except CertificateError as error:
            log.error("tls.certificate_not_renewed", reason=str(error))  # noqa: TRY400 -- nothing a traceback adds
            return
        self._read_at = changed_at
        log.info("tls.certificate_renewed", certificate=str(self._certificate))

    def _changed_at(self) -> tuple[int, ...]:
        return tuple(number for file in (self._certificate, self._key) for number in _identity(file))

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION  # else one connection could have us sign without end
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._certificate, self._key, password=self._no_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise CertificateError(f"{self._key} is not the key of {self._certificate}") from error
            raise CertificateError(f"{self._certificate} and {self._key} are no PEM certificate and key") from error
        except OSError as error:
            raise CertificateError(f"cannot read {self._certificate} and {self._key}: {error.strerror}") from error
        CERTIFICATE_ENDS.set(ends_at(self._certificate.read_text(encoding="latin-1")).timestamp())
        return context

    def _no_password(self) -> str:
        raise CertificateError(f"{self._key} is encrypted; a server starts with nobody there to ask")


def _identity(file: Path) -> tuple[int, int]:
    try:
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
    except OSError as error:
        raise CertificateError(f"cannot read {file}: {error.strerror}") from error
    return found.st_mtime_ns, found.st_ino


_CERTIFICATE = re.compile(r"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END", re.DOTALL)


def ends_at(pem: str) -> datetime:
    """Tell when the first certificate of a chain ends: ssl shows that of the other side, and never one's own."""
    first = _CERTIFICATE.search(pem)
    if first is None:
        raise CertificateError("there is no certificate in it")
    certificate = _parts(b64decode(first[1]))[0].content
    signed = [part for part in _parts(_parts(certificate)[0].content) if part.tag != _VERSION]
    _number, _algorithm, _issuer, validity, *_ = signed
    _from, until = _parts(validity.content)
    written = "%y%m%d%H%M%SZ" if until.tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(until.content.decode(), written).replace(tzinfo=UTC)


_VERSION = 0xA0
_UTC_TIME = 0x17
_LONG = 0x80


class _Part(NamedTuple):
    tag: int
    content: bytes


def _parts(der: bytes) -> list[_Part]:
    """Take a DER sequence's content apart."""
    parts = []
    while der:
        tag, length, at = der[0], der[1], 2
        if length & _LONG:
            at += length & ~_LONG
            length = int.from_bytes(der[2:at], "big")
        parts.append(_Part(tag, der[at : at + length]))
        der = der[at + length :]
    return parts
