"""A certificate with its key, and whose clients' certificates are good: read, and checked whole."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from serving.errors import ConfigurationError
from serving.tls.files import TlsFiles

CERT, KEY, CLIENT_CA = "tls_cert_file", "tls_key_file", "tls_client_ca_file"


@dataclass(frozen=True)
class Identity:
    """What a listener shows and whom it lets in.

    Attributes:
        chain_pem: The certificate and those below it.
        key_pem: Its private key.
        client_ca_pem: Who signs clients' certificates; None: clients need none.
        ends: When each part is over, UTC: "server", and "clients" where they need certificates.
    """

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    client_ca_pem: bytes | None
    ends: Mapping[str, datetime]

    @classmethod
    def read(cls, files: TlsFiles) -> "Identity":
        """Read the files.

        Raises:
            ConfigurationError: One cannot be read, is not PEM, or the key is of another
                certificate. A certificate that is over is read: see `refuse_over`.
        """
        chain_pem, key_pem = _content(CERT, files.cert), _content(KEY, files.key)
        chain = _certificates(CERT, files.cert, chain_pem)
        _refuse_stranger(files, chain[0], key_pem)
        ends = {"server": min(one.not_valid_after_utc for one in chain)}
        client_ca_pem = None
        if files.client_ca is not None:
            client_ca_pem = _content(CLIENT_CA, files.client_ca)
            ends["clients"] = _next_end(_certificates(CLIENT_CA, files.client_ca, client_ca_pem))
        return cls(chain_pem, key_pem, client_ca_pem, ends)

    def refuse_over(self) -> None:
        """Raise where nobody could connect any more.

        Raises:
            ConfigurationError: A certificate is over.
        """
        for part, setting in (("server", CERT), ("clients", CLIENT_CA)):
            end = self.ends.get(part)
            if end is not None and end <= datetime.now(UTC):
                raise ConfigurationError(
                    f"{_named(setting)}: the certificate ended at {end.isoformat()}: renew it"
                )


def refuse_open_key(key: Path, secrets_dir: Path | None) -> None:
    """Raise where everybody on the machine can read the private key.

    Args:
        key: Its file.
        secrets_dir: Whoever runs the container puts secrets there, by modes of its own; nobody else
            sees them.

    Raises:
        ConfigurationError: Others than its owner and group may read it.
    """
    if secrets_dir is not None and key.is_relative_to(secrets_dir):
        return
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise _unreadable(KEY, key, error) from error
    if mode & stat.S_IRWXO:
        raise ConfigurationError(
            f"{_named(KEY)}: everybody on this machine may read {key} (mode "
            f"{stat.S_IMODE(mode):04o}): `chmod 0600 {key}`, and have a new key made if others have"
        )


def secrets_dir() -> Path | None:
    """Return the folder UNDERSTUDY_SECRETS_DIR."""
    given = os.environ.get("UNDERSTUDY_SECRETS_DIR")
    return Path(given) if given else None


def _named(setting: str) -> str:
    return f"{setting} (UNDERSTUDY_{setting.upper()})"


def _content(setting: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _unreadable(setting, file, error) from error


def _unreadable(setting: str, file: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{_named(setting)}: {file} cannot be read: {error.strerror}")


def _certificates(setting: str, file: Path, pem: bytes) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ConfigurationError(f"{_named(setting)}: {file} holds no PEM certificate") from error


def _refuse_stranger(files: TlsFiles, leaf: x509.Certificate, key_pem: bytes) -> None:
    """Raise unless the key is the certificate's."""
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except TypeError as error:
        raise ConfigurationError(
            f"{_named(KEY)}: the key in {files.key} is encrypted, and a server that starts by "
            "itself knows no password: `openssl pkey` writes it without one"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"{_named(KEY)}: {files.key} holds no PEM private key") from error
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise ConfigurationError(
            f"{_named(KEY)}: the key in {files.key} is not that of the first certificate in "
            f"{files.cert}: both are exchanged together, and a chain begins with the server's own"
        )


def _next_end(authorities: Sequence[x509.Certificate]) -> datetime:
    """Return when the next of the authorities that are good ends; else when the last one did."""
    ends = [one.not_valid_after_utc for one in authorities]
    now = datetime.now(UTC)
    return min((end for end in ends if end > now), default=max(ends))
