"""The dialog that begins a rollout."""

from datetime import UTC, datetime
from typing import Any

from nicegui import ui
from pydantic import ValidationError

from serving.console.operator import Operator
from serving.console.pages.action import ActionDialog
from serving.console.pages.fields import complaint_of
from serving.console.plans import sentences
from serving.controlplane.rollout_routes import cameras_at, usable_stages
from serving.store.rollouts_values import Guardrails, Hold, Rollout, RolloutPlan
from serving.store.values import RouteRevision

_USUAL = RolloutPlan(arm="any")


async def start_dialog(operator: Operator) -> "StartDialog | None":
    """Return the dialog for the routes as they stand; None where no route has a second arm."""
    services = operator.services
    routes = [one for one in (await services.store.routes()).values() if len(one.route.arms) > 1]
    if not routes:
        return None
    cameras = {
        one.route.name: (await services.watch.traffic(one.route.name)).cameras() for one in routes
    }
    return StartDialog(operator, sorted(routes, key=lambda one: one.route.name), cameras)


class StartDialog:
    """Asks for a plan, and tells what its stages will do.

    Args:
        operator: Who begins.
        routes: Those with more than one arm.
        cameras: Which send frames to each now.
    """

    def __init__(
        self, operator: Operator, routes: list[RouteRevision], cameras: dict[str, list[str]]
    ) -> None:
        self._operator = operator
        self._routes = {one.route.name: one for one in routes}
        self._cameras = cameras
        self._dialog = ActionDialog("Start a rollout", "Start", self._start)
        first = routes[0].route
        hold, rails = _USUAL.hold, _USUAL.guardrails
        with self._dialog.fields:
            with self._pair():
                self._route = self._select("Route", list(self._routes), first.name)
                self._arm = self._select("Arm to raise", [], None)
            self._stages = ui.input(
                "Stages, % of the cameras",
                value=", ".join(f"{one:g}" for one in _USUAL.stages),
                on_change=self._tell,
            ).props("outlined dense")
            with self._pair():
                self._seconds = self._number("Each lasts at least, s", hold.seconds)
                self._samples = self._number("and frames", hold.samples)
            with self._pair():
                self._errors = self._number(
                    "Errors may rise by, % of frames", 100 * rails.max_error_increase
                )
                self._ratio = self._number("p99 may be, times the others'", rails.max_p99_ratio)
            with self._pair():
                self._agreement = self._number("Agreement at least, %", 100 * rails.min_agreement)
                self._shadow = self._number("Shadow of its own, % of frames", 10)
        self._route_changed()

    def open(self) -> None:
        """Show it."""
        self._dialog.open()

    @staticmethod
    def _pair() -> ui.element:
        return ui.element("div").classes("pair even")

    def _select(self, label: str, options: list[str], value: str | None) -> ui.select:
        changed = self._route_changed if label == "Route" else self._tell
        return ui.select(options, value=value, label=label, on_change=changed).props(
            "outlined dense"
        )

    def _number(self, label: str, value: float) -> ui.number:
        return ui.number(label, value=value, min=0, on_change=self._tell).props("outlined dense")

    def _route_changed(self) -> None:
        route = self._routes[str(self._route.value)].route
        lightest = min(reversed(route.arms), key=lambda arm: arm.weight)
        self._arm.set_options([arm.name for arm in route.arms], value=lightest.name)
        self._tell()

    def _tell(self) -> None:
        try:
            plan = self._plan()
        except ValidationError as error:
            self._dialog.refuse(complaint_of(error))
            return
        except ValueError as error:
            self._dialog.refuse(str(error))
            return
        before = self._routes[plan.route]
        pick = self._operator.services.pick
        now = datetime.now(UTC)
        preview = Rollout(
            id="preview",
            plan=plan,
            started=now,
            updated=now,
            stage_started=now,
            who="",
            before=before.route,
            revision=before.revision,
        )
        known = self._cameras[plan.route]
        usable = usable_stages(preview, known, pick)
        counts = {stage: cameras_at(preview, stage, known, pick) for stage in usable}
        self._dialog.tell(sentences(preview, len(known), counts))

    def _plan(self) -> RolloutPlan:
        """Return the plan as it is typed.

        Raises:
            ValueError: It breaks a rule (pydantic's ValidationError is one).
        """
        shadow = _number(self._shadow.value) / 100
        return RolloutPlan(
            route=str(self._route.value),
            arm=str(self._arm.value),
            stages=tuple(_number(one) for one in str(self._stages.value or "").split(",")),
            hold=Hold(
                seconds=_number(self._seconds.value), samples=int(_number(self._samples.value))
            ),
            guardrails=Guardrails(
                max_error_increase=_number(self._errors.value) / 100,
                max_p99_ratio=_number(self._ratio.value),
                min_agreement=_number(self._agreement.value) / 100,
            ),
            shadow_rate=shadow or None,
        )

    async def _start(self) -> str:
        plan = self._plan()
        spoken_of = self._routes[plan.route].revision
        rollout = await self._operator.start_rollout(
            plan, why=self._dialog.why, expected_revision=spoken_of
        )
        return f"Rollout {rollout.id} is {rollout.state}: {rollout.note or 'it has begun'}."


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"a number is needed, not {str(value or 'nothing').strip()!r}") from None
