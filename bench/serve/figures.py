"""Percentiles, medians and ratios: what rounds are reduced to."""

from collections.abc import Mapping, Sequence
from statistics import median

Figures = dict[str, object]


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return a percentile, linear between neighbours; None of nothing.

    Args:
        values: In any order.
        share: 0 to 1.
    """
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def median_of(values: Sequence[float | None]) -> float | None:
    """Return the median of what was measured; None where nothing was."""
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def ratio_of_rounds(
    ours: Mapping[int, float | None], theirs: Mapping[int, float | None]
) -> float | None:
    """Return the median of the rounds' ratios: each round compares what ran side by side.

    Args:
        ours: A figure, by round.
        theirs: The same of another; rounds that only one has are left out.
    """
    pairs = [(ours[number], theirs[number]) for number in sorted(set(ours) & set(theirs))]
    return median_of([a / b for a, b in pairs if a is not None and b])


def best_of(figures: Mapping[str, float | None], *, lowest: bool = False) -> str | None:
    """Return the name with the best figure; None where nothing was measured."""
    known = {name: value for name, value in figures.items() if value is not None}
    if not known:
        return None
    return min(known, key=lambda name: known[name] if lowest else -known[name])
