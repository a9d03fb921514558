"""Where a training stands."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Position:
    """Where a training stands; it moves.

    Attributes:
        epoch: 0-based.
        batch: The next one of that epoch, 0-based.
        last_step: Number of the batch, counted over all epochs, after which the weights were last
            updated; -1 before the first time.
        seconds: Of training so far, by whatever processes.
    """

    epoch: int = 0
    batch: int = 0
    last_step: int = -1
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        """Return it as a dict; `Position(**plain)` is equal."""
        return asdict(self)
