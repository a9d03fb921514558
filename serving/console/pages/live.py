"""The live page: which version answers which share of the cameras, how fast, how well."""

from datetime import datetime, timedelta

from nicegui import ui

from serving.console.charts import COLOURS, charts, options
from serving.console.fragments import fragment
from serving.console.operator import Operator
from serving.console.overview import RouteNow, overview
from serving.console.pages.action import act_button, told
from serving.console.pages.arms import ArmsDialog
from serving.console.pages.going_back import rollback_dialog
from serving.console.pages.weights import PromoteDialog, WeightDialog
from serving.console.traffic import RouteTraffic, Side
from serving.store.values import RouteRevision, Scope

_LOOK_EVERY_S = 2.5
_SPANS = {5: "5 min", 15: "15 min", 60: "1 h"}
# As many steps as a chart of this size can show.
_STEPS = 180


async def live_page(operator: Operator, root: str) -> None:
    """Draw every route, and keep it up to date while somebody looks."""
    shown: dict[str, _RoutePanel] = {}
    ui.html(fragment("live_head"), sanitize=False)
    notice = ui.html("", sanitize=False).props("role=status")
    panels = ui.element("div").classes("panels")

    async def look() -> None:
        try:
            routes = await operator.services.store.routes()
            notice.set_content("" if routes else fragment("no_route"))
            for name in shown.keys() - routes.keys():
                shown.pop(name).remove()
            for name, revision in sorted(routes.items()):
                if name not in shown:
                    with panels:
                        shown[name] = _RoutePanel(operator, name, root)
                await shown[name].look(revision)
        except Exception as error:  # noqa: BLE001 - the next look may succeed
            notice.set_content(fragment("error", message=told(error)))

    async def make_route() -> None:
        ArmsDialog(operator, None, [], await operator.services.store.releases()).open()

    if operator.may(Scope.OPERATE):
        with ui.element("div").classes("acts"):
            act_button("Make a route…", make_route)
    # Not before the page is there: an hour of many gateways takes seconds to read at first.
    notice.set_content(fragment("reading"))
    ui.timer(_LOOK_EVERY_S, look)


class _RoutePanel:
    """One route: a sentence, its arms, what can be done, four charts."""

    def __init__(self, operator: Operator, name: str, root: str) -> None:
        self._operator = operator
        self._root = root
        self._minutes = 15
        self._revision: RouteRevision | None = None
        self._cameras: list[str] = []
        self._section = ui.element("section").classes("route").props(f'aria-label="Route {name}"')
        with self._section:
            self._head = ui.html("", sanitize=False)
            with ui.element("div").classes("acts"):
                if operator.may(Scope.OPERATE):
                    act_button("Move weight…", self._move_weight)
                    act_button("Promote…", self._promote)
                    act_button("Change arms…", self._change_arms)
                    act_button("Roll back…", self._roll_back)
                ui.toggle(_SPANS, value=self._minutes, on_change=self._span_changed).props(
                    'no-caps dense flat aria-label="Time shown"'
                ).classes("spans")
            with ui.element("div").classes("charts"):
                self._charts = [_chart(one.title) for one in charts(5)]

    def remove(self) -> None:
        """Take it off the page."""
        self._section.delete()

    async def look(self, revision: RouteRevision) -> None:
        """Show the route as it is now."""
        services = self._operator.services
        self._revision = revision
        traffic = await services.watch.traffic(revision.route.name)
        now = await services.store.now()
        self._cameras = traffic.cameras()
        seen = overview(
            revision,
            traffic,
            now,
            await services.store.releases(),
            await services.store.placements(),
        )
        under_way = {one.route: one for one in await services.store.rollouts_under_way()}
        self._head.set_content(
            fragment(
                "route",
                route=seen,
                now=now,
                colours=COLOURS,
                rollout=under_way.get(revision.route.name),
                root=self._root,
            )
        )
        self._draw(seen, traffic, now)

    def _draw(self, seen: RouteNow, traffic: RouteTraffic, now: datetime) -> None:
        span = timedelta(minutes=self._minutes)
        step_s = max(5.0, span.total_seconds() / _STEPS)
        series = traffic.series(now, span, step_s)
        colours = {
            Side(arm.name, arm.release): COLOURS[arm.colour % len(COLOURS)] for arm in seen.arms
        }
        end_ms = 1000 * now.timestamp()
        for chart, shown in zip(charts(step_s), self._charts, strict=True):
            shown.options.clear()
            shown.options.update(
                options(
                    chart,
                    series,
                    colours,
                    start_ms=end_ms - 1000 * span.total_seconds(),
                    end_ms=end_ms,
                    step_s=step_s,
                )
            )
            shown.update()

    async def _span_changed(self, event: object) -> None:
        self._minutes = int(getattr(event, "value", 15))
        if self._revision is not None:
            await self.look(self._revision)

    def _move_weight(self) -> None:
        if self._revision is not None:
            WeightDialog(self._operator, self._revision, self._cameras).open()

    def _promote(self) -> None:
        if self._revision is not None:
            PromoteDialog(self._operator, self._revision, self._cameras).open()

    async def _change_arms(self) -> None:
        releases = await self._operator.services.store.releases()
        ArmsDialog(self._operator, self._revision, self._cameras, releases).open()

    async def _roll_back(self) -> None:
        if self._revision is not None:
            name = self._revision.route.name
            (await rollback_dialog(self._operator, name, self._cameras)).open()


def _chart(title: str) -> ui.echart:
    with ui.element("figure").classes("chart"):
        ui.html(fragment("caption", title=title), tag="figcaption", sanitize=False)
        return ui.echart({"series": []}).props(f'role=img aria-label="{title}"')
