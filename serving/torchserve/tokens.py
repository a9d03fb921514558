"""TorchServe's tokens: it writes them to a file when it starts, and again at each start."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Literal, Protocol

from serving.errors import BackendUnavailable

FILE_NAME = "key_file.json"


class Credential(Protocol):
    """What opens a listener."""

    def header(self) -> dict[str, str]:
        """Return the request header that carries it."""

    def forget(self) -> None:
        """Find out anew next time: it was refused."""


class NoToken:
    """For a TorchServe that asks for none: on a machine where only our own reach it."""

    def header(self) -> dict[str, str]:
        """Return no header."""
        return {}

    def forget(self) -> None:
        """Do nothing."""


class Token:
    """One token of the file, read when first needed and again when it was refused.

    Args:
        file: What TorchServe writes.
        kind: Which of its listeners the token opens.
    """

    def __init__(self, file: Path, kind: Literal["inference", "management"]) -> None:
        self._file = file
        self._kind = kind
        self._value: str | None = None

    def header(self) -> dict[str, str]:
        """Return the request header that carries the token.

        Raises:
            BackendUnavailable: There is no token: TorchServe is not up.
        """
        if self._value is None:
            self._value = self._read()
        return {"Authorization": f"Bearer {self._value}"}

    def forget(self) -> None:
        """Read the file again next time: TorchServe refused the token, so it was started anew."""
        self._value = None

    def _read(self) -> str:
        try:
            return str(json.loads(self._file.read_text())[self._kind]["key"])
        except (OSError, ValueError, KeyError) as error:
            raise BackendUnavailable(
                "TorchServe is starting: it has no tokens yet", refused=True
            ) from error


def is_token_refused(status: int, body: object) -> bool:
    """Tell TorchServe's refusal of a token, which is a 400, from other bad requests."""
    kind = body.get("type", "") if isinstance(body, dict) else ""
    return status == HTTPStatus.BAD_REQUEST and kind == "InvalidKeyException"
