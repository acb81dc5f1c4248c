"""A server's certificate: read, refused in words, and renewed while it serves."""

import os
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from chassis.certificate import Certificate, CertificateError, ends_at
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from embedded.certificates import keep_certificates
from prometheus_client import REGISTRY


@pytest.fixture
def files(tmp_path):
    return keep_certificates(tmp_path / "here")


@pytest.fixture
def others(tmp_path):
    return keep_certificates(tmp_path / "elsewhere")


def test_a_missing_file_is_named(files, tmp_path):
    with pytest.raises(CertificateError, match=r"cannot read .*nowhere.pem: No such file"):
        Certificate(tmp_path / "nowhere.pem", files.key)
    with pytest.raises(CertificateError, match=r"cannot read .*nowhere.pem: No such file"):
        Certificate(files.certificate, tmp_path / "nowhere.pem")


def test_a_key_of_another_certificate_is_refused(files, others):
    with pytest.raises(CertificateError, match=r"server-key.pem is not the key of .*server.pem"):
        Certificate(files.certificate, others.key)


def test_files_that_hold_something_else_are_refused(files):
    files.key.write_text("not a key")
    with pytest.raises(CertificateError, match=r"are no PEM certificate and key"):
        Certificate(files.certificate, files.key)


def test_nothing_older_than_tls_1_2_is_spoken(files):
    assert Certificate(files.certificate, files.key).context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_when_it_ends_is_counted_for_those_who_renew_it(files):
    Certificate(files.certificate, files.key)
    told = x509.load_pem_x509_certificate(files.certificate.read_bytes()).not_valid_after_utc
    assert REGISTRY.get_sample_value("p2p_certificate_ends_seconds") == told.timestamp()


@pytest.mark.parametrize("end", [datetime(2049, 12, 31, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)])
def test_the_end_is_read_on_either_side_of_the_year_whose_form_changes(end):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "p2p")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(end)
        .sign(key, SHA256())
    )
    assert ends_at(made.public_bytes(serialization.Encoding.PEM).decode()) == end


async def test_changed_files_are_taken_for_connections_to_come(files):
    certificate = Certificate(files.certificate, files.key)
    before = certificate.context
    await certificate.look_again()
    assert certificate.context is before
    keep_certificates(files.key.parent, now=datetime.now(UTC) + timedelta(days=390))
    await certificate.look_again()
    assert certificate.context is not before


async def test_unusable_files_leave_the_certificate_that_serves(files, others):
    certificate = Certificate(files.certificate, files.key)
    before = certificate.context
    os.replace(others.key, files.key)  # noqa: PTH105 -- as a renewal that is half done
    await certificate.look_again()
    assert certificate.context is before
    os.replace(others.certificate, files.certificate)  # noqa: PTH105
    await certificate.look_again()
    assert certificate.context is not before
