"""Rounds reduced: medians of each contestant, and ratios of what ran side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.distill.cells import Figures
from bench.serve.figures import best_of, median_of, ratio_of_rounds

Rounds = Mapping[int, Figures]
"""Figures of a comparison's rounds, by number."""
PRESSED, LONE = "16 x mixed", "1 x mixed"
_FIGURES = ("requests_per_s", "p50_ms", "p99_ms", "generator_cpu_ms")
# Figure, where a cell has it, and what of it.
_GROUPED = (
    ("cpu_ms", "cpu_ms", None),
    ("stages_ms", "stages_ms", None),
    ("rss_mib", "memory_mib", "rss"),
    ("pss_mib", "memory_mib", "pss"),
)


def medians(rounds: Rounds) -> dict[str, dict[str, Figures]]:
    """Return the medians over the rounds: by contestant, by load."""
    names = dict.fromkeys(name for one in rounds.values() for name in one["turns"])
    return {
        name: {load: _median(rounds, name, load) for load in _loads(rounds, name)} for name in names
    }


def by_round(rounds: Rounds, name: str, load: str, figure: str) -> dict[int, float | None]:
    """Return a contestant's figure in each round; rounds without it are left out."""
    found = {}
    for number, one in rounds.items():
        measured = one["turns"].get(name, {}).get("loads", {}).get(load)
        if measured is not None:
            found[number] = measured.get(figure)
    return found


def ratio(rounds: Rounds, ours: str, theirs: str, load: str, figure: str) -> float | None:
    """Return the median over the rounds of ours divided by theirs."""
    return _rounded(
        ratio_of_rounds(
            by_round(rounds, ours, load, figure), by_round(rounds, theirs, load, figure)
        )
    )


def added(rounds: Rounds, ours: str, theirs: str, load: str, figure: str) -> float | None:
    """Return the median over the rounds of ours less theirs."""
    a, b = (by_round(rounds, name, load, figure) for name in (ours, theirs))
    both = [(a[number], b[number]) for number in set(a) & set(b)]
    return _rounded(
        median_of([one - other for one, other in both if one is not None and other is not None])
    )


def against_best(rounds: Rounds, ours: str, others: Sequence[str]) -> Figures:
    """Compare ours with whoever is best: in throughput, and in each latency of a lone request.

    Args:
        rounds: Of the comparison.
        ours: Name of ours.
        others: Names of the others.
    """
    found: Figures = {"ours": ours, "others": list(others)}
    for key, load, figure in (
        ("throughput", PRESSED, "requests_per_s"),
        ("p50", LONE, "p50_ms"),
        ("p99", LONE, "p99_ms"),
    ):
        figures = {
            name: median_of(list(by_round(rounds, name, load, figure).values())) for name in others
        }
        best = best_of(figures, lowest=load == LONE)
        found[f"best_{key}"] = best
        found[key] = None if best is None else ratio(rounds, ours, best, load, figure)
    return found


def failed_requests(rounds: Rounds, server: str) -> int:
    """Return how many timed requests a server did not answer right, under all its names."""
    return sum(
        int(load["failed"])
        for one in rounds.values()
        for name, turn in one["turns"].items()
        if name.split()[0] == server
        for load in turn["loads"].values()
    )


def _loads(rounds: Rounds, name: str) -> list[str]:
    return list(
        dict.fromkeys(
            load for one in rounds.values() for load in one["turns"].get(name, {}).get("loads", {})
        )
    )


def _median(rounds: Rounds, name: str, load: str) -> Figures:
    measured = [
        found
        for one in rounds.values()
        if (found := one["turns"].get(name, {}).get("loads", {}).get(load)) is not None
    ]
    told: dict[str, Any] = {
        figure: _rounded(median_of([one.get(figure) for one in measured])) for figure in _FIGURES
    }
    for figure, source, inner in _GROUPED:
        groups = dict.fromkeys(group for one in measured for group in one.get(source, {}))
        told[figure] = {
            group: _rounded(
                median_of([_inner(one.get(source, {}).get(group), inner) for one in measured])
            )
            for group in groups
        }
    told["failed"] = sum(int(one["failed"]) for one in measured)
    told["rounds"] = len(measured)
    return told


def _inner(value: Any, key: str | None) -> float | None:
    found = value if key is None or value is None else value[key]
    return None if found is None else float(found)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
