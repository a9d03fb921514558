"""The same picture, or almost the same, on two sides of a split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_ROWS_AT_ONCE = 512
MAX_LISTED = 1000


@dataclass(frozen=True)
class Shown:
    """What one image shows, as far as duplicates matter.

    Attributes:
        image: Its file.
        split: Where it is: "train", "val", "test" or "unlabelled".
        pixels_sha256: Equal for the very same picture.
        look: 64-bit perceptual hash.
    """

    image: Path
    split: str
    pixels_sha256: str
    look: int


@dataclass(frozen=True)
class Pair:
    """Two images of different splits that show the same, or almost.

    Attributes:
        one: In the split that is trained on, or in val where the other is in test.
        other: In the other split.
        bits: Bits of 64 in which their perceptual hashes differ.
    """

    one: Shown
    other: Shown
    bits: int


@dataclass(frozen=True)
class NearPairs:
    """Almost equal pictures.

    Attributes:
        count: How many pairs there are.
        closest: At most 1,000 of them, the closest first.
    """

    count: int
    closest: tuple[Pair, ...]


def exact_pairs(shown: Sequence[Shown]) -> list[Pair]:
    """Return each image that shows what an image of an earlier split shows, with that image.

    Decoded pixels are compared, not files: the same picture saved again without loss, under another
    name or without its metadata, is the same picture to a network.

    Args:
        shown: Every image, split after split.
    """
    first: dict[str, Shown] = {}
    pairs = []
    for one in shown:
        earlier = first.setdefault(one.pixels_sha256, one)
        if earlier.split != one.split:
            pairs.append(Pair(earlier, one, 0))
    return pairs


def near_pairs(ones: Sequence[Shown], others: Sequence[Shown], max_bits: int) -> NearPairs:
    """Return the pairs that look alike without being the same picture.

    Every image is compared with every other: unlike an index over parts of the hashes it misses
    none, and a hundred million comparisons take about a second.

    Args:
        ones: Images of one side.
        others: Images of the other.
        max_bits: Most bits in which two hashes of almost the same picture differ.
    """
    numbers: dict[str, int] = {}
    my_looks, my_pictures = _columns(ones, numbers)
    looks, pictures = _columns(others, numbers)
    count, closest = 0, list[Pair]()
    for start in range(0, len(ones), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        bits = np.bitwise_count(my_looks[part, None] ^ looks[None, :])
        close = (bits <= max_bits) & (my_pictures[part, None] != pictures[None, :])
        rows, columns = np.nonzero(close)
        best = np.argsort(bits[rows, columns], kind="stable")[:MAX_LISTED]
        found = [
            Pair(ones[start + row], others[column], int(bits[row, column]))
            for row, column in zip(rows[best], columns[best], strict=True)
        ]
        count += len(rows)
        closest = sorted([*closest, *found], key=lambda pair: pair.bits)[:MAX_LISTED]
    return NearPairs(count, tuple(closest))


def _columns(shown: Sequence[Shown], numbers: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return hashes, uint64 [N], and a number for each different picture, int64 [N]."""
    pictures = [numbers.setdefault(one.pixels_sha256, len(numbers)) for one in shown]
    return np.array([one.look for one in shown], np.uint64), np.array(pictures, np.int64)


def joined(*parts: NearPairs) -> NearPairs:
    """Return several findings as one."""
    pairs = sorted((pair for part in parts for pair in part.closest), key=lambda pair: pair.bits)
    return NearPairs(sum(part.count for part in parts), tuple(pairs[:MAX_LISTED]))
