"""Whose frame a line of the log is about: noted once a frame, added to each line said meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from structlog.typing import EventDict

from serving.store.values import ReleaseKey

# A frame's names are checked after it was noted.
_LONGEST_NAME = 128


class FrameNote(NamedTuple):
    """A frame, as a log names it.

    Attributes:
        request_id: As in its answer.
        camera: Its camera's id, "" where it named none.
        route: As asked for, "" for the default route.
        arm: Who is to answer; "" before one was chosen.
        release: The arm's.
    """

    request_id: str
    camera: str
    route: str
    arm: str = ""
    release: ReleaseKey | None = None

    def fields(self) -> dict[str, str]:
        """Return what a line says of it."""
        said = {
            "request_id": self.request_id,
            "camera": self.camera[:_LONGEST_NAME],
            "route": self.route[:_LONGEST_NAME],
            "arm": self.arm,
        }
        if self.release is not None:
            said |= {"model": self.release.model, "version": self.release.version}
        return {name: value for name, value in said.items() if value}


# One variable rather than structlog's one for each field: setting it is all that a frame costs.
_NOTE: ContextVar[FrameNote | None] = ContextVar("frame", default=None)


@contextmanager
def noted(note: FrameNote) -> Iterator[None]:
    """Have lines that are said in the block, and by tasks it starts, name a frame."""
    token = _NOTE.set(note)
    try:
        yield
    finally:
        _NOTE.reset(token)


def note_arm(arm: str, release: ReleaseKey) -> None:
    """Have what follows name who is to answer; a task that was started before keeps its own."""
    note = _NOTE.get()
    if note is not None:
        _NOTE.set(note._replace(arm=arm, release=release))


def add_frame(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Add the present frame to a line; what the line says itself wins. A structlog processor."""
    note = _NOTE.get()
    return event if note is None else {**note.fields(), **event}
