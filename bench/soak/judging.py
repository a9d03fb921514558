"""What grew, and what failed that was not made to fail."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

MOST_GROWTH = 0.02
# Below this a rise is no growth whatever its share: half a descriptor does not exist.
LEAST = {"resident_bytes": 1024 * 1024, "descriptors": 1.0, "threads": 1.0, "series": 1.0}
_CONFIDENCE = 0.95
# An answer may come this long after a fault was over and still be its own.
_AFTER_S = 2.0


@dataclass(frozen=True)
class Growth:
    """How a series of samples rises.

    Attributes:
        at_first: The fitted value at the first sample.
        at_last: Likewise, at the last.
        share: The rise over the value at first.
        least_share: The same by the lower end of the slope's confidence interval.
        grew: Whether it did: by two percent or more, by a whole unit, and not by chance.
    """

    at_first: float
    at_last: float
    share: float
    least_share: float
    grew: bool


def growth(at_s: Sequence[float], values: Sequence[float], least: float) -> Growth:
    """Fit a line by the median of the slopes between all pairs of samples (Theil and Sen).

    Unlike least squares, or the first and last sample, it does not follow a garbage collector's
    saw or a single peak: up to 29% of the samples may be anything.

    Args:
        at_s: When each sample was taken, seconds, rising.
        values: One each.
        least: A rise below this is none.
    """
    found = stats.theilslopes(np.asarray(values, float), np.asarray(at_s, float), alpha=_CONFIDENCE)
    span_s = float(at_s[-1] - at_s[0])
    first = float(found.intercept + found.slope * at_s[0])
    rise, least_rise = float(found.slope) * span_s, float(found.low_slope) * span_s
    share = rise / max(first, least)
    grew = share >= MOST_GROWTH and rise >= least and least_rise > 0
    return Growth(first, first + rise, share, least_rise / max(first, least), grew)


@dataclass(frozen=True)
class Fault:
    """A fault that was put in.

    Attributes:
        kind: Which.
        began_s: On `time.monotonic`.
        ended_s: When all stood again.
    """

    kind: str
    began_s: float
    ended_s: float

    def covers(self, from_s: float, to_s: float) -> bool:
        """Whether something that went on from one moment to another may be its doing."""
        return from_s <= self.ended_s + _AFTER_S and to_s >= self.began_s


@dataclass(frozen=True)
class Failure:
    """Something that went wrong.

    Attributes:
        what: The error's code, or a line of the log.
        from_s: On `time.monotonic`, when it began.
        to_s: When it was over.
    """

    what: str
    from_s: float
    to_s: float


def by_cause(
    failures: Iterable[Failure], faults: Sequence[Fault]
) -> tuple[dict[str, Counter[str]], list[Failure]]:
    """Return what each kind of fault made fail, and the failures that none accounts for."""
    injected: dict[str, Counter[str]] = {}
    others = []
    for failure in failures:
        causes = [fault for fault in faults if fault.covers(failure.from_s, failure.to_s)]
        if causes:
            injected.setdefault(causes[-1].kind, Counter())[failure.what] += 1
        else:
            others.append(failure)
    return injected, others


def growths(samples: Sequence[Mapping[str, Any]], from_s: float) -> list[dict[str, Any]]:
    """Return the growth of everything that was there in every sample from a moment on.

    Args:
        samples: Each with "at_s" and "values", by subject and measure; a process that was started
            anew is another subject.
        from_s: What was before is warming up.
    """
    later = [one for one in samples if one["at_s"] >= from_s]
    always = set.intersection(*(set(one["values"]) for one in later)) if later else set()
    at_s = [one["at_s"] for one in later]
    return [
        {
            "subject": subject,
            "measure": measure,
            **asdict(growth(at_s, [one["values"][subject][measure] for one in later], least)),
        }
        for subject in sorted(always)
        for measure, least in LEAST.items()
        if measure in later[0]["values"][subject]
    ]
