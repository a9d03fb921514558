"""The key that a controller shows to workers on other machines: a file that both are given."""

import hmac
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ConfigurationError

_LEAST_CHARACTERS = 32


@dataclass(frozen=True)
class WorkerKey:
    """A shared secret; read once.

    Attributes:
        text: Of at least 32 characters; never shown.
    """

    text: str

    @classmethod
    def read(cls, file: Path | None) -> "WorkerKey":
        """Return the key in a file.

        Raises:
            ConfigurationError: No file was named, it cannot be read, or the key is too short.
        """
        if file is None:
            raise ConfigurationError(
                "worker_key_file (UNDERSTUDY_WORKER_KEY_FILE): name a file with the secret that "
                "the controller and its workers share; `openssl rand -hex 32` makes one"
            )
        try:
            text = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"worker_key_file: {file} cannot be read as a line of ASCII text"
            ) from error
        if len(text) < _LEAST_CHARACTERS:
            raise ConfigurationError(
                f"worker_key_file: the key in {file} has {len(text)} characters; it must have "
                f"{_LEAST_CHARACTERS} or more (`openssl rand -hex 32`)"
            )
        return cls(text)

    def __repr__(self) -> str:
        return "WorkerKey(...)"

    def header(self) -> dict[str, str]:
        """Return the request header that carries it."""
        return {"Authorization": f"Bearer {self.text}"}

    def forget(self) -> None:
        """Do nothing: it never changes."""

    def is_in(self, presented: str | None) -> bool:
        """Tell, in constant time, whether this is what somebody has shown."""
        return hmac.compare_digest((presented or "").encode(), self.text.encode())
