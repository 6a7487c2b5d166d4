"""TLS of the capture page: the operator's certificate, or one made at the start."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.config import ConfigError

VALID_DAYS = 397
"""Browsers take no server certificate that is valid for longer (CA/Browser Forum, Apple)."""


class ServerTls:
    """The context of an HTTPS server. `fingerprint`: SHA-256 of its certificate, as browsers show it.

    Raises ConfigError when the files are no certificate and its key.
    """

    def __init__(self, cert: Path | None, key: Path | None, hosts: Iterable[str] = ()) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.fingerprint = ""
        self.self_signed = cert is None
        self._cert, self._key = cert, key
        self._stamp: object = None
        if (cert is None) != (key is None):
            missing = "capture.tls_key" if key is None else "capture.tls_cert"
            raise ConfigError(f"{missing}: a certificate and its key go together; one is missing")
        if cert is None:
            self._use_own(hosts)
        else:
            self.renew()

    def renew(self) -> bool:
        """Read the files again if they have changed (a renewed certificate); whether they had.

        Connections from now on use it. Raises ConfigError and keeps the old one.
        """
        if self._cert is None or self._key is None:
            return False
        try:
            stamp = (self._cert.stat().st_mtime_ns, self._key.stat().st_mtime_ns)
            if stamp == self._stamp:
                return False
            chain = self._cert.read_bytes()
            self.fingerprint = _fingerprint(x509.load_pem_x509_certificate(chain))
            # An encrypted key would ask for its passphrase on the terminal.
            self.context.load_cert_chain(self._cert, self._key, password=lambda: "")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(
                f"capture.tls_cert, capture.tls_key: {self._cert}, {self._key}: {reason}"
            ) from None
        self._stamp = stamp
        return True

    def _use_own(self, hosts: Iterable[str]) -> None:
        cert, key = self_signed(hosts)
        self.fingerprint = _fingerprint(cert)
        # The ssl module reads keys from files only; the folder is ours alone and gone at once.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "both.pem"
            path.touch(0o600)
            path.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
                + cert.public_bytes(serialization.Encoding.PEM)
            )
            self.context.load_cert_chain(path)


def self_signed(hosts: Iterable[str]) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A new certificate (ECDSA P-256) for this host's name, loopback and `hosts` (names or addresses), and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "semcast sender")])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = []
    for host in dict.fromkeys(["localhost", socket.gethostname(), "127.0.0.1", "::1", *hosts]):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            if host.isascii() and host:
                names.append(x509.DNSName(host))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A phone's clock may be a little behind.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS - 1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
