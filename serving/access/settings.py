"""What an operator may set of who gets in: keys, TLS, limits."""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

from serving.tls.client_tls import ClientTls
from serving.tls.files import TlsFiles


class AccessSettings(BaseSettings):
    """A part of `serving.settings.Settings`, under the same names.

    Attributes:
        auth: False: nobody needs a key (--no-auth).
        tls_cert_file: PEM: what every listener of cameras, operators and, of a worker, controllers
            shows: the server's certificate, then those up to one that clients know. None: they
            speak in clear.
        tls_key_file: Its private key.
        tls_client_ca_file: Who signs the certificates that clients must show; None: they need none.
        workers_ca_file: Who signs the workers' certificates; None: gateways and controller speak to
            workers on other machines in clear.
        workers_cert_file: What gateways and controller show to workers that ask for it.
        workers_key_file: Its private key.
        workers_name: That each worker's certificate holds; None: the host by which it is reached,
            which is an address where UNDERSTUDY_WORKERS says dns:NAME.
        camera_frames_per_second: Of one camera, at each gateway process; 0: no limit.
    """

    auth: bool = True
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = None
    workers_ca_file: Path | None = None
    workers_cert_file: Path | None = None
    workers_key_file: Path | None = None
    workers_name: str | None = None
    camera_frames_per_second: float = Field(default=0, ge=0, le=10_000)

    @field_validator(
        "tls_cert_file",
        "tls_key_file",
        "tls_client_ca_file",
        "workers_ca_file",
        "workers_cert_file",
        "workers_key_file",
        mode="after",
    )
    @classmethod
    def _absolute_path(cls, value: Path | None) -> Path | None:
        # The processes have working directories of their own.
        return None if value is None else value.expanduser().absolute()

    @model_validator(mode="after")
    def _certificates_have_keys(self) -> Self:
        pairs = (
            ("tls_cert_file", "tls_key_file", "tls_client_ca_file"),
            ("workers_cert_file", "workers_key_file", ""),
        )
        for cert, key, more in pairs:
            given = [name for name in (cert, key, more) if name and getattr(self, name) is not None]
            missing = [name for name in (cert, key) if name not in given]
            if given and missing:
                raise ValueError(
                    f"{given[0]} (UNDERSTUDY_{given[0].upper()}) is set and {missing[0]} is not: "
                    f"set UNDERSTUDY_{missing[0].upper()} to its PEM file, too"
                )
        if self.workers_cert_file is not None and self.workers_ca_file is None:
            raise ValueError(
                "workers_cert_file is set and workers_ca_file is not: set "
                "UNDERSTUDY_WORKERS_CA_FILE to who signs the workers' certificates"
            )
        return self

    @property
    def tls(self) -> TlsFiles | None:
        """What listeners show; None: they speak in clear."""
        if self.tls_cert_file is None or self.tls_key_file is None:
            return None
        return TlsFiles(self.tls_cert_file, self.tls_key_file, self.tls_client_ca_file)

    @property
    def workers_tls(self) -> ClientTls | None:
        """How workers on other machines are spoken to; None: in clear."""
        if self.workers_ca_file is None:
            return None
        return ClientTls(self.workers_ca_file, self.workers_cert_file, self.workers_key_file)
