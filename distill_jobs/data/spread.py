"""A few of many, from everywhere among them."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def spread(things: Sequence[T], most: int) -> list[T]:
    """Take at most so many, evenly.

    Images of a split lie as their source had them, camera by camera: the first ones are one night
    of one camera.
    """
    if len(things) <= most:
        return list(things)
    return [things[place * len(things) // most] for place in range(most)]
