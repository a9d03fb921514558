"""What the store holds of rollouts: a plan, how far it is, and the evidence for what it did."""

from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from serving.store.values import MAX_WEIGHT, NAME_PATTERN, Frozen, Number, Route, Whole

# Fewer cameras than this show nothing about the next ones.
MIN_CAMERAS = 5


class Guardrails(Frozen):
    """Limits whose breach rolls a rollout back.

    Attributes:
        max_error_increase: How much the share of failed frames may rise above the other arms',
            0 to 1.
        max_p99_ratio: How many times the other arms' 99th percentile the arm's may be.
        min_agreement: Least mean F1 between the arm's detections and the other arms', 0 to 1.
        alpha: How likely a rollout within all limits may be rolled back: over all its guardrails,
            stages and looks together.
    """

    max_error_increase: Number = Field(default=0.005, ge=0.0005, le=0.5)
    max_p99_ratio: Number = Field(default=1.5, ge=1, le=100)
    min_agreement: Number = Field(default=0.8, ge=0.05, le=1)
    alpha: Number = Field(default=0.05, gt=0, le=0.5)


class Hold(Frozen):
    """What a stage waits for, all of it, before the next.

    Attributes:
        seconds: At least so long.
        cameras: At least so many answered by the arm; also what a stage needs not to be skipped.
        samples: At least so many frames answered by the arm.
    """

    seconds: Number = Field(default=300, ge=0, le=30 * 86400)
    cameras: Whole = Field(default=MIN_CAMERAS, ge=MIN_CAMERAS, le=100_000)
    samples: Whole = Field(default=1000, ge=1, le=10**9)


class RolloutPlan(Frozen):
    """How an arm of a route is to be raised.

    Attributes:
        route: Name.
        arm: The route's arm to raise; the others shrink in proportion.
        stages: The arm's weights, rising, in percent.
        hold: What each stage waits for.
        guardrails: What rolls it back.
        shadow_rate: Where the route has no shadow, have the arm shadow so large a share of the
            frames until the rollout ends; None: no shadow of its own.
    """

    route: str = Field(default="default", pattern=NAME_PATTERN)
    arm: str = Field(pattern=NAME_PATTERN)
    stages: tuple[Number, ...] = Field(default=(1, 5, 25, 50, 100), min_length=1, max_length=20)
    hold: Hold = Hold()
    guardrails: Guardrails = Guardrails()
    shadow_rate: Number | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _stages_rise(self) -> Self:
        for before, after in pairwise((0.0, *self.stages)):
            if not before < after <= MAX_WEIGHT:
                raise ValueError(
                    f"stages: {after:g} after {before:g}; they must rise, above 0 up to 100 percent"
                )
        return self


class RolloutState(StrEnum):
    """Where a rollout stands; the last three are ends."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing moves it any more."""
        return self not in {RolloutState.RUNNING, RolloutState.PAUSED}


class Evidence(Frozen):
    """What one look at one guardrail found.

    Attributes:
        at: UTC.
        stage: The arm's weight at the time, percent.
        guardrail: Which.
        cameras: How many cameras of the arm were compared.
        estimate: The guardrail's number as seen: the share of failed frames above the other arms',
            the 99th percentile over the other arms', the mean agreement.
        limit: The guardrail's limit for it.
        p_value: How likely a sight at least as bad is within the limit.
        alpha: What of the rollout's alpha this look could spend.
        verdict: "breach" where p_value is at most alpha, which rolls back; "pass" otherwise.
    """

    at: datetime
    stage: float
    guardrail: Literal["errors", "p99", "agreement"]
    cameras: int
    estimate: float
    limit: float
    p_value: float
    alpha: float
    verdict: Literal["pass", "breach"]


class Rollout(Frozen):
    """A plan under way, or how it ended; the loop writes it at each step and goes on from it.

    Attributes:
        id: Unique, short.
        plan: What was asked for.
        state: Where it stands.
        stage: Index of the present stage in the plan's; -1 before the first.
        started: UTC.
        updated: UTC.
        stage_started: UTC.
        who: Name of the key that asked for it.
        why: The operator's words.
        note: What it waits for; at its end, how that came.
        before: The route that a rollback returns to.
        revision: The newest of the route's that the rollout has written (or found, before that).
        looks: How often the present stage has been looked at.
        over: Whether the present stage has had its last look.
        stage_alpha: What the present stage's looks may spend of the alpha.
        spent_alpha: What the stages so far may have spent of it, the present one's included.
        evidence: The newest look of each stage at each guardrail.
    """

    id: str
    plan: RolloutPlan
    state: RolloutState = RolloutState.RUNNING
    stage: int = -1
    started: datetime
    updated: datetime
    stage_started: datetime
    who: str
    why: str = ""
    note: str = ""
    before: Route
    revision: int
    looks: int = 0
    over: bool = False
    stage_alpha: float = 0.0
    spent_alpha: float = 0.0
    evidence: tuple[Evidence, ...] = ()

    @property
    def route(self) -> str:
        """The route's name."""
        return self.plan.route

    @property
    def arm(self) -> str:
        """The arm that it raises."""
        return self.plan.arm

    @property
    def writer(self) -> str:
        """Who it is in a route's history."""
        return f"rollout {self.id}"

    @property
    def weight(self) -> float | None:
        """The present stage's weight, percent; None before the first."""
        return None if self.stage < 0 else self.plan.stages[self.stage]

    @property
    def breach(self) -> Evidence | None:
        """What it is rolled back for, or None."""
        return next((one for one in self.evidence if one.verdict == "breach"), None)
