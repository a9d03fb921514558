"""What a client of ours trusts, and who it says it is."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from serving.errors import ConfigurationError
from serving.tls.look import look_at

CA_VARIABLE = "UNDERSTUDY_CA_FILE"
CERT_VARIABLE = "UNDERSTUDY_CLIENT_CERT_FILE"
KEY_VARIABLE = "UNDERSTUDY_CLIENT_KEY_FILE"


@dataclass(frozen=True)
class ClientTls:
    """PEM files of a client.

    Attributes:
        ca: Who signs the servers' certificates; None: those that this machine trusts.
        cert: The client's own, for servers that ask for one.
        key: Its private key.

    Raises:
        ConfigurationError: A certificate without its key, or the other way round.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) is not (self.key is None):
            raise ConfigurationError(
                f"a client's certificate ({CERT_VARIABLE}, --cert) and its key ({KEY_VARIABLE}, "
                "--cert-key) are given together"
            )

    def context(self) -> ssl.SSLContext:
        """Return what checks servers over HTTP.

        Raises:
            ConfigurationError: A file cannot be read, or OpenSSL does not take it.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self.load_into(context)
        except OSError as error:  # ssl.SSLError is one
            raise _unusable(self, error) from error
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have new connections of a context of ours trust, and show, what the files hold now.

        Raises:
            OSError: A file cannot be read, or OpenSSL does not take it.
        """
        if self.ca is not None:
            context.load_verify_locations(self.ca)
        if self.cert is not None:
            # A password, or OpenSSL would ask the terminal for one.
            context.load_cert_chain(self.cert, self.key, password="")

    def look(self) -> object:
        """Return what changes when a file is exchanged; None while one is not there."""
        try:
            return look_at((self.ca, self.cert, self.key))
        except OSError:
            return None

    def pem(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Return the content of `ca`, `key` and `cert`, in the order in which gRPC takes them.

        Raises:
            ConfigurationError: A file cannot be read.
        """
        try:
            ca, key, cert = (
                one.read_bytes() if one is not None else None
                for one in (self.ca, self.key, self.cert)
            )
        except OSError as error:
            raise _unusable(self, error) from error
        return ca, key, cert


def context_for(urls: Iterable[str], tls: ClientTls | None) -> ssl.SSLContext | Literal[True]:
    """Return what a library for HTTP takes; a context costs 40 ms, and is made for https alone.

    Args:
        urls: Where the client goes.
        tls: None: whom this machine trusts.

    Raises:
        ConfigurationError: A file of `tls` cannot be used.
    """
    if not any(url.startswith("https:") for url in urls):
        return True
    return (tls or ClientTls()).context()


def _unusable(tls: ClientTls, error: OSError) -> ConfigurationError:
    names = [str(one) for one in (tls.ca, tls.cert, tls.key) if one is not None]
    return ConfigurationError(f"TLS: {', '.join(names) or 'no file'}: {error}")
