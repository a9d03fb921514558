"""What half an hour came to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.soak.judging import LEAST, MOST_GROWTH, Failure, Fault, by_cause, growths

MET, MISSED = "met", "NOT MET"
_TOLD = 20


def report(
    samples: Sequence[Mapping[str, Any]],
    failures: Sequence[Failure],
    faults: Sequence[Fault],
    *,
    began_s: float,
    warm_s: float,
) -> dict[str, Any]:
    """Return the figures and the verdicts.

    Args:
        samples: Of the sampler.
        failures: Of frames, streams and the log.
        faults: That were put in.
        began_s: When the load began, `time.monotonic`.
        warm_s: What came within so many seconds of it is no growth yet.
    """
    grown = growths(samples, began_s + warm_s)
    injected, others = by_cause(failures, faults)
    return {
        "goals": [_goal_of_growth(measure, grown) for measure in LEAST] + [_goal_of(others)],
        "method": (
            "Theil-Sen line through the samples after the warm-up of each process that lives to "
            f"the end; grown: {MOST_GROWTH:.0%} or more of its value at first, a whole unit (of "
            "memory 1 MiB), and the 95% confidence interval of the slope above 0"
        ),
        "samples": len(samples),
        "judged_s": round(_span_s(samples, began_s + warm_s), 1),
        "growth": [_rounded(one) for one in sorted(grown, key=lambda one: -one["share"])],
        "failures_by_fault": injected,
        "failures_of_no_fault": _told(others, began_s),
        "faults": [
            {
                "kind": one.kind,
                "after_s": round(one.began_s - began_s, 1),
                "healed_s": round(one.ended_s - one.began_s, 1),
            }
            for one in faults
        ],
    }


def is_met(found: Mapping[str, Any]) -> bool:
    """Whether every goal is met."""
    return all(goal["verdict"] == MET for goal in found["goals"])


def _goal_of_growth(measure: str, grown: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    mine = [one for one in grown if one["measure"] == measure]
    worst = max(mine, key=lambda one: one["share"], default=None)
    # Nothing that was looked at all the while is nothing that was shown to be flat.
    flat = bool(mine) and not any(one["grew"] for one in mine)
    return {
        "goal": f"{measure}: less than {MOST_GROWTH:.0%} growth",
        "judged": len(mine),
        "grew": [one["subject"] for one in mine if one["grew"]],
        "largest_share": None if worst is None else round(worst["share"], 4),
        "verdict": MET if flat else MISSED,
    }


def _goal_of(others: Sequence[Failure]) -> dict[str, Any]:
    return {
        "goal": "no error that was not injected",
        "errors": len(others),
        "verdict": MISSED if others else MET,
    }


def _told(others: Sequence[Failure], began_s: float) -> dict[str, Any]:
    first = [{"after_s": round(one.from_s - began_s, 1), "what": one.what} for one in others]
    return {"by_kind": dict(Counter(one.what for one in others)), "first": first[:_TOLD]}


def _span_s(samples: Sequence[Mapping[str, Any]], from_s: float) -> float:
    at_s = [one["at_s"] for one in samples if one["at_s"] >= from_s]
    return at_s[-1] - at_s[0] if at_s else 0.0


def _rounded(one: Mapping[str, Any]) -> dict[str, Any]:
    places = {"at_first": 1, "at_last": 1, "share": 5, "least_share": 5}
    return {name: round(one[name], places[name]) if name in places else one[name] for name in one}
