"""One pool of images split into train, val and test, so that nothing known is on two sides."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from distill_jobs.errors import DataSetInvalid
from distill_jobs.recipe.data import Split, SplitFractions


def key_of(rule: Split, path: str, pixels_sha256: str) -> str | None:
    """Return what keeps an image together with others: its camera, its time, or its picture.

    Args:
        rule: How the pool is split.
        path: Of the image, relative to the data set, with forward slashes.
        pixels_sha256: Of its pixels.

    Returns:
        The key; None where the pattern finds none.
    """
    if rule.pattern is None:
        return pixels_sha256
    found = re.search(rule.pattern, path)
    return found[rule.by] if found is not None else None


def partition(rule: Split, sizes: Mapping[str, int], path: Path) -> dict[str, str]:
    """Give each key to a split; the same keys and sizes give the same answer.

    Args:
        rule: How.
        sizes: Images by key.
        path: The data set's file, for the error.

    Returns:
        "train", "val" or "test" by key.

    Raises:
        DataSetInvalid: There are too few cameras, times or images to give each split one.
    """
    shares = _shares(rule.fractions)
    if rule.by == "random":
        split_of = {key: _drawn(rule.seed, key, shares) for key in sizes}
    elif rule.by == "time":
        split_of = _in_order(_by_time(sizes), sizes, shares)
    else:
        split_of = _balanced(rule.seed, sizes, shares)
    for split in shares:
        if split not in split_of.values():
            kind = {"camera": "cameras", "time": "times", "random": "pictures"}[rule.by]
            raise DataSetInvalid(
                path,
                f"data.split: {len(sizes)} {kind} are too few for {len(shares)} splits: "
                f"{split!r} would be empty",
            )
    return split_of


def _shares(fractions: SplitFractions) -> dict[str, float]:
    shares = {"train": fractions.train, "val": fractions.val, "test": fractions.test}
    return {split: share for split, share in shares.items() if share > 0}


def _drawn(seed: int, key: str, shares: Mapping[str, float]) -> str:
    """Draw by the key alone: other images, coming or going, move nothing."""
    return _at(_hash(seed, key) / 2**64, shares)


def _by_time(times: Mapping[str, int]) -> list[str]:
    if all(time.isdecimal() for time in times):
        return sorted(times, key=lambda time: (int(time), time))
    return sorted(times)


def _in_order(
    ordered: Sequence[str], sizes: Mapping[str, int], shares: Mapping[str, float]
) -> dict[str, str]:
    """Cut an order where the fractions say; a key goes where its middle image falls."""
    total, before = sum(sizes.values()), 0
    split_of = {}
    for key in ordered:
        middle = (before + sizes[key] / 2) / total
        split_of[key] = _at(middle, shares)
        before += sizes[key]
    return split_of


def _at(place: float, shares: Mapping[str, float]) -> str:
    reached = 0.0
    for split, share in shares.items():
        reached += share
        if place < reached:
            return split
    return list(shares)[-1]


def _balanced(seed: int, sizes: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, str]:
    """Give the largest groups away first, each to the split that lacks most images."""
    total = sum(sizes.values())
    lacks = {split: share * total for split, share in shares.items()}
    split_of: dict[str, str] = {}
    order = sorted(sizes, key=lambda key: (-sizes[key], _hash(seed, key)))
    for place, key in enumerate(order):
        empty = [split for split in shares if split not in split_of.values()]
        # The last groups are for the splits that would go without.
        takers = empty if len(order) - place <= len(empty) else list(shares)
        neediest = max(takers, key=lambda split: lacks[split])
        split_of[key] = neediest
        lacks[neediest] -= sizes[key]
    return split_of


def _hash(seed: int, key: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8], "big")
