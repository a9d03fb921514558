"""What a rollout will do, told in words before it begins, and where each of its stages stands."""

from collections.abc import Mapping
from typing import NamedTuple

from serving.console.moves import called
from serving.store.rollouts_values import Rollout, RolloutState
from serving.words import count, listed, percent, weight


class Stage(NamedTuple):
    """A stage of a rollout, as people read it.

    Attributes:
        weight: Percent.
        kind: "done", "here", "bad", "skipped" or "" for one that is to come, or never came.
        words: The same in words.
    """

    weight: float
    kind: str
    words: str


def stages(rollout: Rollout) -> list[Stage]:
    """Return where each stage stands: one that was held has evidence, for each ends with a look."""
    looked_at = {one.stage for one in rollout.evidence}
    return [
        Stage(percentage, *_standing(rollout, place, percentage in looked_at))
        for place, percentage in enumerate(rollout.plan.stages)
    ]


def _standing(rollout: Rollout, place: int, has_evidence: bool) -> tuple[str, str]:
    breach = rollout.breach
    if breach is not None and breach.stage == rollout.plan.stages[place]:
        return "bad", f"broke the guardrail for {breach.guardrail}"
    if place > rollout.stage:
        return "", "never reached" if rollout.state.ended else "to come"
    if place < rollout.stage:
        return ("done", "held") if has_evidence else ("skipped", _why_skipped(rollout, place))
    if rollout.state is RolloutState.DONE:
        return "done", "held"
    return ("", "left before its end") if rollout.state.ended else ("here", "now")


def _why_skipped(rollout: Rollout, place: int) -> str:
    had = rollout.before.arm(rollout.arm)
    if had is not None and rollout.plan.stages[place] <= had.weight:
        return "skipped: no more than it had"
    return "skipped: too few cameras"


def sentences(preview: Rollout, known: int, counts: Mapping[int, int]) -> list[str]:
    """Say what the stages will do.

    Args:
        preview: The rollout, were it begun now.
        known: How many cameras send frames now.
        counts: The cameras of each stage that is usable now.
    """
    hold = preview.plan.hold
    return [
        *_stages(preview, known, counts),
        f"Each stage lasts at least {hold.seconds:g} s and {hold.samples:,} frames.",
        *_shadow(preview),
        _guardrails(preview),
    ]


def _stages(preview: Rollout, known: int, counts: Mapping[int, int]) -> list[str]:
    plan, arm = preview.plan, preview.before.arm(preview.arm)
    name = called(arm) if arm else preview.arm
    if not counts:
        return [f"No stage gives {name} {plan.hold.cameras} cameras yet: it waits until one does."]
    usable = [f"{weight(plan.stages[one])} ({count(counts[one], 'camera')})" for one in counts]
    said = [f"{name} gets {listed(usable)} in turn, of {count(known, 'camera')}."]
    skipped = [weight(one) for place, one in enumerate(plan.stages) if place not in counts]
    if skipped:
        said.append(
            f"{listed(skipped)} would be skipped: fewer than {plan.hold.cameras} cameras, or no "
            "more than it has."
        )
    return said


def _shadow(preview: Rollout) -> list[str]:
    had, own = preview.before.shadow, preview.plan.shadow_rate
    if had is not None:
        own_words = " A shadow of its own is not made." if own is not None else ""
        return [
            f"Agreement is that of the route's own shadow, {had.arm} on "
            f"{weight(100 * had.rate)} of the frames.{own_words}"
        ]
    if own is None:
        return []
    return [
        f"Until it ends, {weight(100 * own)} of the other arms' frames are answered by "
        f"{preview.arm} too, unheard, to compare: so much more work for its workers."
    ]


def _guardrails(preview: Rollout) -> str:
    rails = preview.plan.guardrails
    limits = [
        f"errors rise by more than {percent(rails.max_error_increase)} of the frames",
        f"p99 is above {rails.max_p99_ratio:g} times the others'",
    ]
    if preview.before.shadow is not None or preview.plan.shadow_rate is not None:
        limits.append(f"agreement falls below {percent(rails.min_agreement)}")
    else:
        return (
            f"It rolls itself back if {' or '.join(limits)}. Nothing is compared, so that a "
            "student that sees less is not noticed."
        )
    return f"It rolls itself back if {', '.join(limits[:-1])}, or {limits[-1]}."
