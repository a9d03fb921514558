"""Lists of what happened, as far as a page holds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

# A page is read by people.
_MOST_ROWS = 200


@dataclass(frozen=True)
class Row:
    """A line of a list of what happened; `kind` is a style."""

    cells: Sequence[str]
    kind: str = ""


@dataclass(frozen=True)
class Listed:
    """What happened, newest first, as far as a page holds it.

    Attributes:
        heads: Of the columns.
        rows: The newest.
        left_out: How many more there are.
    """

    heads: Sequence[str]
    rows: Sequence[Row]
    left_out: int


def as_list(heads: Sequence[str], rows: Sequence[Row]) -> Listed:
    """Return rows, the newest first, cut where there are too many."""
    return Listed(heads, rows[:_MOST_ROWS], max(0, len(rows) - _MOST_ROWS))


def when(text: str) -> str:
    """Return an ISO time to the minute."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}"
