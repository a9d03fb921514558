"""Where a log goes: whatever becomes of that, the work that it tells of goes on."""

from contextlib import suppress
from typing import TextIO


class LastingOutput:
    """A log's output that never raises: its disk is full, or whoever read it is gone.

    A line that cannot be written is lost. Were it an error, it would end what had just survived
    another one, for what goes wrong is what is told.

    Args:
        output: Gets the lines.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def write(self, text: str) -> int:
        """Write, if that goes."""
        with suppress(OSError, ValueError):  # ValueError: it was closed
            return self._output.write(text)
        return 0

    def flush(self) -> None:
        """Flush, if that goes."""
        with suppress(OSError, ValueError):
            self._output.flush()
