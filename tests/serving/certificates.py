"""Certificates for tests: an authority of their own, and what it signs."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serving.tls.client_tls import ClientTls
from serving.tls.files import TlsFiles


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, as files.

    Attributes:
        cert: PEM.
        key: PEM, readable by its owner alone.
        serial: Tells it from others.
        ends: UTC.
    """

    cert: Path
    key: Path
    serial: int
    ends: datetime

    def moved_to(self, other: "Issued") -> None:
        """Take the place of another: its key's first, then its certificate's."""
        self.key.replace(other.key)
        self.cert.replace(other.cert)


class Authority:
    """Signs certificates.

    Args:
        folder: Gets its own certificate and what it signs.
        name: Tells it from other authorities.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder / name
        self._folder.mkdir(parents=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.file = self._folder / "ca.pem"
        self.file.write_bytes(_pem(self._signed(self._name, self._key, days=10, authority=True)))

    def issue(self, name: str = "server", *, days: float = 1.0) -> Issued:
        """Sign a certificate for 127.0.0.0/8's first hosts and localhost; it begins in the past."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(_name(name), key, days=days)
        serial = certificate.serial_number
        issued = Issued(
            self._folder / f"{name}-{serial:x}.pem",
            self._folder / f"{name}-{serial:x}.key",
            serial,
            certificate.not_valid_after_utc,
        )
        issued.cert.write_bytes(_pem(certificate))
        issued.key.touch(mode=0o600)
        issued.key.write_bytes(key_pem(key))
        return issued

    def files(self, issued: Issued, *, clients: bool = False) -> TlsFiles:
        """Return what a server shows; `clients`: it lets in only whom this authority signed."""
        return TlsFiles(issued.cert, issued.key, self.file if clients else None)

    def client(self, issued: Issued | None = None) -> ClientTls:
        """Return who trusts this authority, and shows a certificate if one is given."""
        if issued is None:
            return ClientTls(self.file)
        return ClientTls(self.file, issued.cert, issued.key)

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        days: float,
        authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        hosts = [ipaddress.ip_address(f"127.0.0.{number}") for number in (1, 2, 3)]
        names: list[x509.GeneralName] = [x509.DNSName("localhost"), *map(x509.IPAddress, hosts)]
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def key_pem(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    """Return a private key as PEM, encrypted where there is a password."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, encryption)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
