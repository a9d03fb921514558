"""Something for each of those that there are now."""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar, overload

Of = TypeVar("Of", bound=Hashable)
Made = TypeVar("Made")


class OneEach(Sequence[Made], Generic[Of, Made]):
    """What is made for each of a sequence that changes; it is kept for as long as that is there.

    Args:
        of: May be another at each look.
        make: Makes one.
    """

    def __init__(self, of: Sequence[Of], make: Callable[[Of], Made]) -> None:
        self._of = of
        self._make = make
        self._made: dict[Of, Made] = {}

    @overload
    def __getitem__(self, index: int) -> Made: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Made]: ...
    def __getitem__(self, index: int | slice) -> Made | Sequence[Made]:
        return self._now()[index]

    def __len__(self) -> int:
        return len(self._of)

    def _now(self) -> tuple[Made, ...]:
        now = tuple(self._of)
        made = self._made
        self._made = {one: made[one] if one in made else self._make(one) for one in now}
        return tuple(self._made.values())
