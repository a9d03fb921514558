"""How many bytes of images a gateway holds at once, whichever way they came in."""

from collections.abc import Iterator
from contextlib import contextmanager

from serving.errors import Overloaded

# A frame is answered in well under this; by then there is room, or still none.
_RETRY_AFTER_S = 0.5


class ImageBudget:
    """Bounds the encoded images that wait, are read or are being answered.

    Args:
        limit_bytes: The most to hold.

    Attributes:
        held_bytes: Held now.
    """

    def __init__(self, limit_bytes: int = 256 * 1024 * 1024) -> None:
        self._limit_bytes = limit_bytes
        self.held_bytes = 0

    @contextmanager
    def account(self) -> Iterator["Account"]:
        """Open an account; when the block ends, all that it took is given back."""
        opened = Account(self)
        try:
            yield opened
        finally:
            opened.give_back(opened.taken_bytes)

    def fits(self, size: int) -> bool:
        """Whether there is room for `size` bytes more."""
        return self.held_bytes + size <= self._limit_bytes

    def refusal(self, size: int) -> Overloaded:
        """Return the error for an image of `size` bytes that does not fit."""
        return Overloaded(
            f"this gateway holds images of {self.held_bytes} bytes of {self._limit_bytes}, so "
            f"{size} more do not fit; try again in {_RETRY_AFTER_S:g} s",
            retry_after_s=_RETRY_AFTER_S,
        )


class Account:
    """What one request or stream has taken of a budget.

    Args:
        budget: Of the gateway.

    Attributes:
        taken_bytes: Taken now.
    """

    def __init__(self, budget: ImageBudget) -> None:
        self._budget = budget
        self.taken_bytes = 0

    def take(self, size: int) -> None:
        """Take `size` bytes.

        Raises:
            Overloaded: They do not fit; nothing was taken.
        """
        if not self._budget.fits(size):
            raise self._budget.refusal(size)
        self._budget.held_bytes += size
        self.taken_bytes += size

    def give_back(self, size: int) -> None:
        """Give `size` bytes back."""
        self._budget.held_bytes -= size
        self.taken_bytes -= size
