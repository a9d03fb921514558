"""The dialogs that move weight between a route's arms: some of it, or all to one."""

from nicegui import ui
from pydantic import ValidationError

from serving.console.moves import called, sentences
from serving.console.operator import Operator
from serving.console.pages.action import ActionDialog
from serving.console.pages.fields import complaint_of
from serving.store.values import MAX_WEIGHT, Route, RouteRevision


class WeightDialog:
    """Asks for the arms' weights, and tells which cameras move.

    Args:
        operator: Who moves them.
        revision: The route as it stands: what is confirmed is a change of this and of no other.
        cameras: Those that send frames to it now.
    """

    def __init__(self, operator: Operator, revision: RouteRevision, cameras: list[str]) -> None:
        self._operator = operator
        self._revision = revision
        self._cameras = cameras
        name = revision.route.name
        self._dialog = ActionDialog(f"Move weight on route “{name}”", "Move weight", self._move)
        with self._dialog.fields:
            self._inputs = {
                arm.name: ui.number(
                    f"{arm.name} · {arm.release}",
                    value=arm.weight,
                    min=0,
                    max=MAX_WEIGHT,
                    step=1,
                    suffix="%",
                ).props("outlined dense")
                for arm in revision.route.arms
            }
        for arm, field in self._inputs.items():
            field.on_value_change(lambda _, changed=arm: self._changed(changed))
        self._tell()

    def open(self) -> None:
        """Show it."""
        self._dialog.open()

    def _changed(self, arm: str) -> None:
        if len(self._inputs) == 2 and self._inputs[arm].value is not None:
            (other,) = (field for name, field in self._inputs.items() if name != arm)
            rest = round(MAX_WEIGHT - self._inputs[arm].value, 2)
            if 0 <= rest <= MAX_WEIGHT and other.value != rest:
                other.value = rest
                return
        self._tell()

    def _tell(self) -> None:
        try:
            wanted = self._wanted()
        except ValidationError as error:
            self._dialog.refuse(complaint_of(error, list(self._inputs)))
            return
        before = self._revision.route
        self._dialog.tell(sentences(before, wanted, self._cameras, self._operator.services.pick))

    def _wanted(self) -> Route:
        """Return the route with the weights as they are given.

        Raises:
            ValidationError: They do not sum to 100, or one is no percentage.
        """
        arms = [
            {**arm.model_dump(), "weight": self._inputs[arm.name].value}
            for arm in self._revision.route.arms
        ]
        return Route.model_validate({**self._revision.route.model_dump(), "arms": arms})

    async def _move(self) -> str:
        return str(
            await self._operator.set_route(
                self._wanted(), why=self._dialog.why, expected_revision=self._revision.revision
            )
        )


class PromoteDialog:
    """Asks which arm gets everything, and tells which cameras move.

    Args:
        operator: Who promotes.
        revision: The route as it stands.
        cameras: Those that send frames to it now.
    """

    def __init__(self, operator: Operator, revision: RouteRevision, cameras: list[str]) -> None:
        self._operator = operator
        self._revision = revision
        self._cameras = cameras
        route = revision.route
        self._dialog = ActionDialog(
            f"Promote an arm of route “{route.name}”", "Promote", self._promote
        )
        lightest = min(reversed(route.arms), key=lambda arm: arm.weight)
        with self._dialog.fields:
            self._arm = ui.select(
                {arm.name: called(arm) for arm in route.arms},
                value=lightest.name,
                label="Arm that answers every camera from now on",
                on_change=self._tell,
            ).props("outlined dense")
        self._tell()

    def open(self) -> None:
        """Show it."""
        self._dialog.open()

    def _tell(self) -> None:
        pick = self._operator.services.pick
        self._dialog.tell(sentences(self._revision.route, self._wanted(), self._cameras, pick))

    def _wanted(self) -> Route:
        arms = tuple(
            arm.model_copy(update={"weight": 100.0 if arm.name == self._arm.value else 0.0})
            for arm in self._revision.route.arms
        )
        return self._revision.route.model_copy(update={"arms": arms})

    async def _promote(self) -> str:
        # Not `Controller.promote`: what was confirmed is a change of this very revision.
        return str(
            await self._operator.set_route(
                self._wanted(), why=self._dialog.why, expected_revision=self._revision.revision
            )
        )
