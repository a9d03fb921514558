"""The dialog that takes a route back to how it was."""

from nicegui import ui

from serving.console.moves import sentences
from serving.console.operator import Operator
from serving.console.pages.action import ActionDialog
from serving.controlplane.rollback import target
from serving.errors import NothingToRollBackTo
from serving.store.values import ReleaseKey, ReleaseState, RouteRevision
from serving.words import listed, weight

# As far as anybody remembers; the command line goes back further.
_MOST = 30


class RollbackDialog:
    """Asks how far to go back, and tells which cameras move.

    Args:
        operator: Who rolls back.
        cameras: Those that send frames to the route now.
        history: The route's revisions, newest first.
        states: Of all releases.
    """

    def __init__(
        self,
        operator: Operator,
        cameras: list[str],
        history: list[RouteRevision],
        states: dict[ReleaseKey, ReleaseState],
    ) -> None:
        self._operator = operator
        self._cameras = cameras
        self._states = states
        self._history = history
        self._present = history[0]
        name = self._present.route.name
        self._dialog = ActionDialog(
            f"Roll back route “{name}”", "Roll back", self._roll_back, dangerous=True
        )
        earlier = {one.revision: _told(one) for one in history if one.route != self._present.route}
        with self._dialog.fields:
            self._revision = ui.select(
                earlier,
                value=self._usual(),
                label="Back to revision",
                on_change=self._tell,
            ).props("outlined dense")
        self._tell()

    def open(self) -> None:
        """Show it."""
        self._dialog.open()

    def _usual(self) -> int | None:
        try:
            return target(self._history, self._states).revision
        except NothingToRollBackTo:
            return None

    def _tell(self) -> None:
        try:
            found = target(self._history, self._states, self._revision.value)
        except NothingToRollBackTo as error:
            self._dialog.refuse(error.message)
            return
        pick = self._operator.services.pick
        said = sentences(self._present.route, found.route, self._cameras, pick)
        self._dialog.tell(
            [*said, "Every release that it needs is loaded: it takes under a second."]
        )

    async def _roll_back(self) -> str:
        return str(
            await self._operator.roll_back(
                self._present.route.name, why=self._dialog.why, revision=self._revision.value
            )
        )


async def rollback_dialog(operator: Operator, route: str, cameras: list[str]) -> RollbackDialog:
    """Return the dialog for a route as it stands now."""
    store = operator.services.store
    states = {one.key: one.state for one in await store.releases()}
    return RollbackDialog(operator, cameras, await store.history(route, _MOST), states)


def _told(revision: RouteRevision) -> str:
    arms = listed(
        [f"{arm.release} {weight(arm.weight)}" for arm in revision.route.arms if arm.weight]
    )
    why = f" “{revision.why}”" if revision.why else ""
    return f"{revision.revision}: {arms} ({revision.who}{why})"
