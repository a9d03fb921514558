"""How long an answer is still worth something."""

import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Deadline:
    """A moment.

    Attributes:
        at: On `time.monotonic`'s clock, seconds.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return the moment `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def remaining_s(self) -> float:
        """Return the seconds left; negative when it has passed."""
        return self.at - time.monotonic()
