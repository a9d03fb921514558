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
        missing: Why there is no figure, or no bound, to hold against the limit, and what to give;
            that refuses. "" where there is.
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
    missing: str = ""

    @property
    def is_floor(self) -> bool:
        """Whether the figure must be at least the limit, rather than at most."""
        return self.rule.startswith("min_")

    @property
    def asks(self) -> bool:
        """Whether there is a limit that a figure could break; a floor of 0 is none."""
        return self.limit is not None and not (self.is_floor and self.limit <= 0)

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
        """What came of it; a limit that nothing can be held against refuses."""
        if self.not_judged:
            return "not judged"
        if not self.asks:
            return "reported"
        unknown = math.isnan(self.judged_by)
        return "refused" if unknown or self.shortfall > 0 else "passed"

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
        return f"{self.name} {measured}{limit}: {self.verdict_text}"

    @property
    def verdict_text(self) -> str:
        """Return the verdict and, where it is none of the figure's, why."""
        why = self.not_judged or self.missing
        return f"{self.verdict}: {why}" if why else self.verdict

    @property
    def complaint(self) -> str:
        """Return which limit is broken, and by how much or what is missing."""
        asked = f"{'at least' if self.is_floor else 'at most'} {self.shown(self.limit)}"
        if math.isnan(self.judged_by):
            why = self.missing or "it cannot be reckoned"
            detail = f" ({self.detail})" if self.detail else ""
            return f"gate.{self.name}: {asked} is asked for of {self.what}{detail}, but {why}"
        short = "short" if self.is_floor else "too much"
        amount = self.shown(self.shortfall).replace("%", " points")
        return (
            f"gate.{self.name}: {self.what} is {self._judged_text}; the gate asks for {asked}: "
            f"{amount} {short}"
        )

    @property
    def _judged_text(self) -> str:
        text = self.shown(self.judged_by)
        if self.confidence is not None and self.measured is not None:
            side = "lower" if self.is_floor else "upper"
            measured = self.shown(self.measured.value)
            text += f" ({side} {100 * self.confidence:g}% bound; {measured} measured)"
        return f"{text} ({self.detail})" if self.detail else text
