"""Where a certificate lies; what it is, `serving.tls.identity` reads."""

from dataclasses import dataclass
from pathlib import Path

from serving.tls.look import Look, look_at


@dataclass(frozen=True)
class TlsFiles:
    """PEM files.

    Attributes:
        cert: The certificate, and below it the others up to one that clients know.
        key: Its private key, not encrypted.
        client_ca: Who signs clients' certificates; None: clients need none.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None

    def look(self) -> Look:
        """Return what changes when a file is exchanged.

        Raises:
            OSError: One is not there.
        """
        return look_at((self.cert, self.key, self.client_ca))
