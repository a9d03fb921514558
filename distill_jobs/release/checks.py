"""One rule of the gate held against what was measured: what it found, and how it says so."""

import math
from dataclasses import dataclass
from typing import Literal

from distill_jobs.release.bootstrap import Bounded

Unit = Literal["%", "points", "MB", "times"]
_SCALES: dict[Unit, float] = {"%": 100.0, "points": 100.0, "MB": 1e-6, "times": 1.0}
_DIGITS: dict[Unit, int] = {"%": 1, "points": 2, "MB": 2, "times": 3}


@dataclass(frozen=True)
class Check:
    """One figure beside its limit.

    Attributes:
        rule: The limit's name in the job file: "min_retention_map50".
        subject: What of it, where a rule asks several times: a class, a size; "" for all.
        what: The figure in words: "mAP50 over the teacher's".
        measured: It and its bounds, in plain shares, bytes or ratios; None: could not be measured.
        limit: What the rule asks for, in the same; None: reported only.
        unit: How people read it.
        confidence: Of the bound that is held against the limit; None: the figure itself is.
        detail: What the figure is made of: "0.720 of 0.900".
        not_judged: Why it is not judged although there is a limit; "" where it is.
    """

    rule: str
    subject: str
    what: str
    measured: Bounded | None
    limit: float | None
    unit: Unit = "%"
    confidence: float | None = None
    detail: str = ""
    not_judged: str = ""

    @property
    def is_floor(self) -> bool:
        """Whether the figure must be at least the limit, rather than at most."""
        return self.rule.startswith("min_")

    @property
    def judged_by(self) -> float:
        """The figure, or its unfavourable bound, that is held against the limit."""
        if self.measured is None:
            return math.nan
        if self.confidence is None:
            return self.measured.value
        return self.measured.low if self.is_floor else self.measured.high

    @property
    def verdict(self) -> Literal["passed", "refused", "not judged", "reported"]:
        """What came of it; what cannot be reckoned is not judged."""
        if self.not_judged or (self.limit is not None and math.isnan(self.judged_by)):
            return "not judged"
        if self.limit is None:
            return "reported"
        return "refused" if self.shortfall > 0 else "passed"

    @property
    def shortfall(self) -> float:
        """By how much the limit is broken, in the figure's own measure; 0 where it holds."""
        if self.limit is None or math.isnan(self.judged_by):
            return 0.0
        beyond = self.limit - self.judged_by if self.is_floor else self.judged_by - self.limit
        return max(0.0, beyond)

    @property
    def name(self) -> str:
        """The rule, and of what: "min_class_retention_map50 (Platelets)"."""
        return f"{self.rule} ({self.subject})" if self.subject else self.rule

    def shown(self, value: float | None) -> str:
        """Return a value as people read it: "80.0%"."""
        if value is None or math.isnan(value):
            return "-"
        text = f"{_SCALES[self.unit] * value:.{_DIGITS[self.unit]}f}"
        return text + {"%": "%", "points": " points", "MB": " MB", "times": ""}[self.unit]

    @property
    def line(self) -> str:
        """Return figure, limit and verdict in one line."""
        measured = self.shown(self.measured.value) if self.measured else "-"
        limit = "" if self.limit is None else f", limit {self.shown(self.limit)}"
        why = f": {self.not_judged}" if self.not_judged else ""
        return f"{self.name} {measured}{limit}: {self.verdict}{why}"

    @property
    def complaint(self) -> str:
        """Return which limit is broken and by how much."""
        asked = "at least" if self.is_floor else "at most"
        short = "short" if self.is_floor else "too much"
        missing = self.shown(self.shortfall).replace("%", " points")
        return (
            f"gate.{self.name}: {self.what} is {self._judged_text}; the gate asks for {asked} "
            f"{self.shown(self.limit)}: {missing} {short}"
        )

    @property
    def _judged_text(self) -> str:
        text = self.shown(self.judged_by)
        if self.confidence is not None and self.measured is not None:
            side = "lower" if self.is_floor else "upper"
            measured = self.shown(self.measured.value)
            text += f" ({side} {100 * self.confidence:g}% bound; {measured} measured)"
        return f"{text} ({self.detail})" if self.detail else text
