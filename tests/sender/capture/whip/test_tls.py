from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from common.config import ConfigError
from sender.capture.whip.tls import VALID_DAYS, ServerTls, self_signed


def written(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate and its key as files."""
    certificate, key = self_signed([name])
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def test_a_certificate_of_our_own_names_the_host_and_is_short_lived() -> None:
    certificate, _ = self_signed(["192.0.2.9", "cam.example", "192.0.2.9"])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1", "192.0.2.9"]
    assert {"localhost", "cam.example"} <= set(names.get_values_for_type(x509.DNSName))
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert timedelta(days=300) < life <= timedelta(days=VALID_DAYS)
    assert ServerTls(None, None).fingerprint != ServerTls(None, None).fingerprint
    assert ServerTls(None, None).self_signed


def test_a_renewed_certificate_is_taken_over_and_a_broken_one_is_not(tmp_path: Path) -> None:
    cert, key = written(tmp_path, "one.example")
    tls = ServerTls(cert, key)
    first = tls.fingerprint
    assert not tls.self_signed and not tls.renew()
    written(tmp_path, "two.example")
    os.utime(cert, ns=(1, 1))
    assert tls.renew() and tls.fingerprint != first
    cert.write_text("nothing")
    with pytest.raises(ConfigError, match=r"capture\.tls_cert, capture\.tls_key: .*cert\.pem"):
        tls.renew()


def test_what_is_no_pair_is_one_clear_error(tmp_path: Path) -> None:
    cert, key = written(tmp_path, "one.example")
    with pytest.raises(ConfigError, match=r"capture\.tls_key: a certificate and its key go together"):
        ServerTls(cert, None)
    with pytest.raises(ConfigError, match=r"capture\.tls_cert: a certificate and its key go together"):
        ServerTls(None, key)
    with pytest.raises(ConfigError, match="No such file"):
        ServerTls(tmp_path / "none.pem", key)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ConfigError, match=r"(?i)mismatch"):
        ServerTls(cert, written(other, "two.example")[1])
