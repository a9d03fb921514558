"""The page of rollouts: how far each is, on what evidence, and how to steer it."""

from functools import partial
from typing import NamedTuple

from nicegui import ui

from serving.console.fragments import fragment
from serving.console.operator import Operator
from serving.console.pages.action import ActionDialog, act_button
from serving.console.pages.rollout_start import start_dialog
from serving.console.words import weight
from serving.errors import UnderstudyError
from serving.store.rollouts_values import Rollout, RolloutState
from serving.store.values import Scope

_LOOK_EVERY_S = 2.5
_MOST = 20


class _Steering(NamedTuple):
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


_WAYS = (
    _Steering("pause", "Pause", RolloutState.RUNNING),
    _Steering("resume", "Resume", RolloutState.PAUSED),
    _Steering("cancel", "Cancel", None, dangerous=True),
    _Steering("roll_back", "Roll back", None, dangerous=True),
)


async def rollouts_page(operator: Operator, root: str) -> None:
    """Draw the newest rollouts, and keep them up to date while somebody looks."""
    del root
    drawn: dict[str, _Card] = {}
    with ui.element("section").props('aria-label="Rollouts"').classes("card"):
        ui.html(fragment("rollouts_head"), sanitize=False)
        if operator.may(Scope.OPERATE):
            with ui.element("div").classes("acts"):
                act_button("Start a rollout…", lambda: _start(operator))
        notice = ui.html("", sanitize=False).props("role=status")
    panels = ui.element("div").classes("panels after")

    async def look() -> None:
        try:
            await operator.look()
            found = await operator.services.store.rollouts(None, _MOST)
        except UnderstudyError as error:
            notice.set_content(fragment("error", message=error.message))
            return
        notice.set_content("" if found else fragment("no_rollout"))
        now = await operator.services.store.now()
        for rollout in reversed(found):
            if rollout.id not in drawn:
                with panels:
                    drawn[rollout.id] = _Card(operator)
            drawn[rollout.id].show(rollout, fragment("rollout", one=rollout, now=now))

    await look()
    ui.timer(_LOOK_EVERY_S, look, immediate=False)


async def _start(operator: Operator) -> None:
    dialog = await start_dialog(operator)
    if dialog is None:
        ui.notify("No route has a second arm: add one on the live page.", type="warning")
    else:
        dialog.open()


class _Card:
    """One rollout."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._state: RolloutState | None = None
        card = ui.element("article").classes("card")
        # The newest stands first.
        card.move(target_index=0)
        with card:
            self._words = ui.html("", sanitize=False)
            self._acts = ui.element("div").classes("acts")

    def show(self, rollout: Rollout, words: str) -> None:
        """Show it as it is now."""
        self._words.set_content(words)
        if rollout.state is self._state:
            return
        self._state = rollout.state
        self._acts.clear()
        self._acts.set_visibility(not rollout.state.ended)
        if rollout.state.ended or not self._operator.may(Scope.OPERATE):
            return
        with self._acts:
            for way in _WAYS:
                if way.when in {None, rollout.state}:
                    act_button(f"{way.verb}…", partial(self._steer, rollout, way))

    async def _steer(self, rollout: Rollout, way: _Steering) -> None:
        # As it is by now, not as it was when the button was drawn.
        now = await self._operator.services.store.rollout(rollout.id) or rollout

        async def act() -> str:
            moved = await self._operator.move_rollout(rollout.id, way.how, why=dialog.why)
            return f"Rollout {moved.id} is {moved.state.replace('_', ' ')}."

        dialog = ActionDialog(
            f"{way.verb} rollout {rollout.id}", way.verb, act, dangerous=way.dangerous
        )
        dialog.tell([_consequence(now, way.how)])
        dialog.open()


def _consequence(rollout: Rollout, how: str) -> str:
    arm, stays = rollout.arm, weight(rollout.weight or 0)
    before = rollout.before.arm(arm)
    had = weight(before.weight if before else 0)
    return {
        "pause": f"{arm} stays at its present weight; the guardrails go on watching, and may still "
        "roll it back.",
        "resume": f"{arm} goes on from {stays} as soon as this stage has seen enough.",
        "cancel": f"The rollout ends; {arm} keeps the weight that it has, and nothing watches it "
        "any more.",
        "roll_back": f"The rollout ends, and every camera goes back to the arm that it had before: "
        f"{arm} goes from {stays} to {had}.",
    }[how]
