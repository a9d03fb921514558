"""A figure of the gate, on the images as they are and drawn again, and the check that it becomes.

A bootstrap draws images, so it bounds only what many images tell of: with `gate.min_images` of them
and more. 25 objects in a single image are 25 or none at all in every resample.
"""

import math
from dataclasses import dataclass

import numpy as np

from distill_jobs.recipe.release import Gate
from distill_jobs.release.average_precision import Floats
from distill_jobs.release.bootstrap import REPORTED_CONFIDENCE, Bounded
from distill_jobs.release.checks import Check, Unit


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        value: On the images as they are; NaN where it cannot be reckoned.
        drawn: float64 [B], in each resample; NaN likewise.
        images: How many images tell of it.
        unknown: Why the value is NaN, where it is.
    """

    value: float
    drawn: Floats
    images: int
    unknown: str = "it cannot be reckoned"

    @classmethod
    def share(
        cls, ours: tuple[Floats, Floats], theirs: tuple[Floats, Floats], images: int
    ) -> "Figure":
        """Return one model's figure over another's; NaN where the other's is 0.

        Of a teacher that finds nothing a student keeps neither all nor nothing.

        Args:
            ours: float64 [1] as it is, and float64 [B] drawn.
            theirs: Likewise, on the same resamples.
            images: How many images tell of it.
        """
        (now, drawn), (their_now, their_drawn) = ours, theirs
        unknown = (
            "the teacher's is 0, of which nothing can be kept"
            if their_now[0] == 0
            else f"nothing tells of {'the teacher' if np.isnan(their_now[0]) else 'the student'}'s"
        )
        return cls(float(_over(now, their_now)[0]), _over(drawn, their_drawn), images, unknown)

    @classmethod
    def drop(
        cls, ours: tuple[Floats, Floats], theirs: tuple[Floats, Floats], images: int
    ) -> "Figure":
        """Return how far one model's figure lies below another's; the arguments are `share`'s."""
        return cls(float(theirs[0][0] - ours[0][0]), theirs[1] - ours[1], images)

    def bounded(self, gate: Gate) -> Bounded:
        """Return it with its bounds, NaN where too few images tell of it."""
        if self.images < gate.min_images:
            return Bounded.unsure(self.value)
        return Bounded.of(self.value, self.drawn, gate.confidence or REPORTED_CONFIDENCE)

    def lacks(self, gate: Gate) -> str:
        """Return what is missing to hold it, or its bound, against a limit; "" for nothing."""
        if math.isnan(self.value):
            return self.unknown
        if gate.confidence is None or not math.isnan(self.bounded(gate).low):
            return ""
        if self.images < gate.min_images:
            return (
                f"a bound needs {gate.min_images} images that tell of it (gate.min_images), not "
                f"{self.images}"
            )
        return "too many resamples do not tell of it to bound it"


def check_of(
    figure: Figure,
    gate: Gate,
    *,
    rule: str,
    what: str,
    detail: str,
    subject: str = "",
    unit: Unit = "%",
    not_judged: str = "",
) -> Check:
    """Hold a figure against the gate's limit of that name.

    Args:
        figure: What was measured.
        gate: The limits.
        rule: The limit's name.
        what: The figure in words.
        detail: What it is made of.
        subject: What of it.
        unit: How people read it.
        not_judged: Why it is let through whatever it is; "" to judge it.
    """
    return Check(
        rule=rule,
        subject=subject,
        what=what,
        measured=figure.bounded(gate),
        limit=getattr(gate, rule),
        unit=unit,
        confidence=gate.confidence,
        detail=detail,
        not_judged=not_judged,
        missing="" if not_judged else figure.lacks(gate),
    )


def _over(part: Floats, whole: Floats) -> Floats:
    share: Floats = np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
    return share
