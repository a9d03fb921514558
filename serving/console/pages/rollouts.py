"""The page of rollouts: how far each is, on what evidence, and how to steer it."""

from functools import partial

from nicegui import ui

from serving.console.fragments import fragment
from serving.console.pages.rollout_start import start_dialog
from serving.console.pages.steering import WAYS, SteeringDialog, Way
from serving.console.pages.visit import Visit
from serving.console.plans import stages
from serving.store.rollouts_values import Rollout, RolloutState
from serving.store.values import Scope

_MOST = 20


def rollouts_page(visit: Visit) -> None:
    """Draw the newest rollouts, and keep them up to date while somebody looks."""
    store = visit.operator.services.store
    drawn: dict[str, _Card] = {}
    with ui.element("section").props('aria-label="Rollouts"').classes("card"):
        ui.html(fragment("rollouts_head"), sanitize=False)
        if visit.operator.may(Scope.OPERATE):
            with ui.element("div").classes("acts"):
                visit.button("Start a rollout…", partial(_start, visit))
        notice = ui.html("", sanitize=False).props("role=status")
    panels = ui.element("div").classes("panels after")

    async def read() -> None:
        found = await store.rollouts(None, _MOST)
        notice.set_content("" if found else fragment("no_rollout"))
        for gone in drawn.keys() - {one.id for one in found}:
            drawn.pop(gone).remove()
        for rollout in reversed(found):
            if rollout.id not in drawn:
                with panels:
                    drawn[rollout.id] = _Card(visit)
            drawn[rollout.id].show(rollout)

    visit.keep(read)


async def _start(visit: Visit) -> None:
    dialog = await start_dialog(visit.operator)
    if dialog is None:
        ui.notify("No route has a second arm: add one on the live page.", type="warning")
    else:
        dialog.open()


class _Card:
    """One rollout."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._rollout: Rollout | None = None
        self._state: RolloutState | None = None
        self._dialog: SteeringDialog | None = None
        self._card = ui.element("article").classes("card")
        # The newest stands first.
        self._card.move(target_index=0)
        with self._card:
            self._words = ui.html("", sanitize=False)
            self._acts = ui.element("div").classes("acts")

    def remove(self) -> None:
        """Take it off the page."""
        self._card.delete()

    def show(self, rollout: Rollout) -> None:
        """Show it as it is now."""
        self._rollout = rollout
        self._words.set_content(fragment("rollout", one=rollout, stages=stages(rollout)))
        if self._dialog is not None:
            self._dialog.keep_up(rollout)
        if rollout.state is self._state:
            return
        self._state = rollout.state
        self._acts.clear()
        self._acts.set_visibility(not rollout.state.ended)
        if not self._visit.operator.may(Scope.OPERATE):
            return
        with self._acts:
            for way in WAYS:
                if way.fits(rollout):
                    self._visit.button(f"{way.verb}…", partial(self._steer, way))

    def _steer(self, way: Way) -> None:
        if self._rollout is not None:
            self._dialog = SteeringDialog(self._visit.operator, self._rollout, way)
            self._dialog.open()
