"""One route on the live page: a sentence, its arms, what can be done, four charts."""

from datetime import timedelta

from nicegui import ui

from serving.console.charts import CHARTS, COLOURS, options
from serving.console.fragments import fragment
from serving.console.overview import RouteNow, overview
from serving.console.pages.arms import ArmsDialog
from serving.console.pages.going_back import rollback_dialog
from serving.console.pages.visit import Visit
from serving.console.pages.weights import PromoteDialog, WeightDialog
from serving.console.snapshot import Snapshot
from serving.console.traffic import RouteTraffic, step_for, told_until
from serving.console.troubles import told
from serving.errors import UnknownRoute
from serving.store.side_sums import Side
from serving.store.values import RouteRevision, Scope

_SPANS = {5: "5 min", 15: "15 min", 60: "1 h"}
# As many steps as a chart of this size can show.
_STEPS = 180


class RoutePanel:
    """Draws one route where it is made.

    Args:
        visit: Who looks.
        name: The route's.
    """

    def __init__(self, visit: Visit, name: str) -> None:
        self._visit = visit
        self._operator = visit.operator
        self._name = name
        self._minutes = 15
        self._drawn: object = None
        self._section = ui.element("section").classes("route").props(f'aria-label="Route {name}"')
        with self._section:
            # Apart from the figures, which change every five seconds: a link is in it.
            self._head = ui.html("", sanitize=False)
            self._error = ui.html("", sanitize=False).props("role=alert")
            self._figures = ui.html("", sanitize=False)
            with ui.element("div").classes("acts"):
                if self._operator.may(Scope.OPERATE):
                    visit.button("Move weight…", self._move_weight)
                    visit.button("Promote…", self._promote)
                    visit.button("Change arms…", self._change_arms)
                    visit.button("Roll back…", self._roll_back)
                ui.toggle(_SPANS, value=self._minutes, on_change=self._span_changed).props(
                    'no-caps dense flat aria-label="Time shown"'
                ).classes("spans")
            with ui.element("div").classes("charts"):
                self._charts = [_chart(one.title) for one in CHARTS]

    def remove(self) -> None:
        """Take it off the page."""
        self._section.delete()

    async def look(self, revision: RouteRevision, seen: Snapshot) -> None:
        """Show the route as it is now; what is wrong with one is told there, others are shown."""
        try:
            traffic = await self._operator.services.watch.traffic(self._name)
            self._show(overview(revision, traffic, seen), seen)
            self._draw(revision, traffic, seen)
        except Exception as error:  # noqa: BLE001 - the next look may succeed
            self._error.set_content(fragment("error", message=told(error)))
        else:
            self._error.set_content("")

    def _show(self, route: RouteNow, seen: Snapshot) -> None:
        rollout = seen.rollouts.get(self._name)
        self._head.set_content(
            fragment("route_head", revision=route.revision, rollout=rollout, root=self._visit.root)
        )
        self._figures.set_content(fragment("route", route=route, colours=COLOURS))

    def _draw(self, revision: RouteRevision, traffic: RouteTraffic, seen: Snapshot) -> None:
        # Nothing new: the charts stay as they are.
        stamp = (traffic.stamp(seen.now), self._minutes, revision.revision)
        if stamp == self._drawn:
            return
        self._drawn = stamp
        span = timedelta(minutes=self._minutes)
        step_s = step_for(span, _STEPS)
        series = traffic.series(seen.now, span, step_s)
        colours = {
            Side(self._name, arm.name, str(arm.release)): COLOURS[place % len(COLOURS)]
            for place, arm in enumerate(revision.route.arms)
        }
        for chart, shown in zip(CHARTS, self._charts, strict=True):
            shown.options.clear()
            end = told_until(seen.now)
            shown.options.update(options(chart, series, colours, end=end, span=span, step_s=step_s))
            shown.update()

    async def _span_changed(self, event: object) -> None:
        self._minutes = int(getattr(event, "value", 15))
        await self._visit.look()

    async def _present(self) -> RouteRevision:
        """Return the route as it stands: what a dialog speaks of is no look of a while ago.

        Raises:
            UnknownRoute: It is gone.
        """
        found = (await self._operator.services.store.routes()).get(self._name)
        if found is None:
            raise UnknownRoute("route", f"route: no route {self._name!r} any more")
        return found

    async def _seen_cameras(self) -> list[str]:
        return (await self._operator.services.watch.traffic(self._name)).cameras()

    async def _move_weight(self) -> None:
        cameras = await self._seen_cameras()
        WeightDialog(self._operator, await self._present(), cameras).open()

    async def _promote(self) -> None:
        cameras = await self._seen_cameras()
        PromoteDialog(self._operator, await self._present(), cameras).open()

    async def _change_arms(self) -> None:
        cameras = await self._seen_cameras()
        releases = await self._operator.services.store.releases()
        ArmsDialog(self._operator, await self._present(), cameras, releases).open()

    async def _roll_back(self) -> None:
        dialog = await rollback_dialog(self._operator, self._name, await self._seen_cameras())
        dialog.open()


def _chart(title: str) -> ui.echart:
    with ui.element("figure").classes("chart"):
        ui.html(fragment("caption", title=title), tag="figcaption", sanitize=False)
        return ui.echart({"series": []}).props(f'role=img aria-label="{title}"')
