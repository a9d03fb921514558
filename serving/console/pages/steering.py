"""The dialog that steers a rollout under way."""

from typing import NamedTuple

from serving.console.operator import Operator
from serving.console.pages.action import ActionDialog
from serving.store.rollouts_values import Rollout, RolloutState
from serving.words import weight


class Way(NamedTuple):
    """One way to steer a rollout.

    Attributes:
        how: As `Operator.move_rollout` takes it.
        verb: On the button.
        when: The state in which it is offered; None: in each until the end.
        dangerous: Whether cameras may get worse answers by it.
    """

    how: str
    verb: str
    when: RolloutState | None
    dangerous: bool = False

    def fits(self, rollout: Rollout) -> bool:
        """Whether a rollout can be steered so now."""
        return not rollout.state.ended and self.when in {None, rollout.state}


WAYS = (
    Way("pause", "Pause", RolloutState.RUNNING),
    Way("resume", "Resume", RolloutState.PAUSED),
    Way("cancel", "Cancel", None, dangerous=True),
    Way("roll_back", "Roll back", None, dangerous=True),
)


class SteeringDialog:
    """Says what steering does, and says so anew where the rollout moves meanwhile.

    Args:
        operator: Who steers.
        rollout: As it is.
        way: How.
    """

    def __init__(self, operator: Operator, rollout: Rollout, way: Way) -> None:
        self._operator = operator
        self._rollout = rollout
        self._way = way
        self._dialog = ActionDialog(
            f"{way.verb} rollout {rollout.id}", way.verb, self._steer, dangerous=way.dangerous
        )
        self._dialog.tell([consequence(rollout, way.how)])

    def open(self) -> None:
        """Show it."""
        self._dialog.open()

    def keep_up(self, rollout: Rollout) -> None:
        """Speak of the rollout as it is by now."""
        before, self._rollout = self._rollout, rollout
        if self._dialog.is_gone or (before.state, before.stage) == (rollout.state, rollout.stage):
            return
        if self._way.fits(rollout):
            self._dialog.tell([consequence(rollout, self._way.how)])
        else:
            state = rollout.state.replace("_", " ")
            self._dialog.refuse(f"The rollout is {state} by now: {rollout.note}")

    async def _steer(self) -> str:
        moved = await self._operator.move_rollout(
            self._rollout.id, self._way.how, why=self._dialog.why, at_stage=self._rollout.stage
        )
        return f"Rollout {moved.id} is {moved.state.replace('_', ' ')}."


def consequence(rollout: Rollout, how: str) -> str:
    """Return what steering a rollout does."""
    arm, stays = rollout.arm, weight(rollout.weight or 0)
    before = rollout.before.arm(arm)
    had = weight(before.weight if before else 0)
    return {
        "pause": f"{arm} stays at {stays}; the guardrails go on watching, and may still roll it "
        "back.",
        "resume": f"{arm} goes on from {stays} as soon as this stage has seen enough.",
        "cancel": f"The rollout ends; {arm} keeps the weight that it has, {stays}, and nothing "
        "watches it any more.",
        "roll_back": f"The rollout ends, and every camera goes back to the arm that it had before: "
        f"{arm} goes from {stays} to {had}.",
    }[how]
