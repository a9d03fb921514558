"""Frames that operators compare releases on: in memory, few, each for its own session only."""

import secrets
from collections import OrderedDict

from serving.console.sessions import Session

_MOST_BYTES = 48 * 1024 * 1024


class Pictures:
    """The newest frames, whole; the oldest go first."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, tuple[Session, bytes]] = OrderedDict()

    def keep(self, session: Session, image: bytes) -> str:
        """Keep a frame, and return its name."""
        name = secrets.token_urlsafe(16)
        self._kept[name] = (session, image)
        while len(self._kept) > 1 and self._bytes() > self._most_bytes:
            self._kept.popitem(last=False)
        return name

    def find(self, session: Session, name: str) -> bytes | None:
        """Return a frame that this session kept, or None."""
        owner, image = self._kept.get(name, (None, b""))
        return image if owner is session else None

    def drop(self, name: str) -> None:
        """Forget a frame."""
        self._kept.pop(name, None)

    def _bytes(self) -> int:
        return sum(len(image) for _, image in self._kept.values())
