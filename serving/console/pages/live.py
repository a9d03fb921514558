"""The live page: which version answers which share of the cameras, how fast, how well."""

from nicegui import ui

from serving.console.deployment_now import deployment_now
from serving.console.fragments import fragment
from serving.console.pages.arms import ArmsDialog
from serving.console.pages.route_panel import RoutePanel
from serving.console.pages.visit import Visit
from serving.store.values import Scope


def live_page(visit: Visit) -> None:
    """Draw every route, and keep it up to date while somebody looks."""
    services = visit.operator.services
    shown: dict[str, RoutePanel] = {}
    ui.html(fragment("live_head"), sanitize=False)
    whole = ui.html("", sanitize=False)
    notice = ui.html("", sanitize=False).props("role=status")
    panels = ui.element("div").classes("panels")

    async def read() -> None:
        seen = await services.watch.now()
        names = [backend.name for backend in services.backends]
        now = deployment_now(seen, names, leads=services.controller.leads)
        whole.set_content(fragment("deployment", one=now))
        routes = seen.desired.routes
        notice.set_content("" if routes else fragment("no_route"))
        for name in shown.keys() - routes.keys():
            shown.pop(name).remove()
        for name, revision in sorted(routes.items()):
            if name not in shown:
                with panels:
                    shown[name] = RoutePanel(visit, name)
            await shown[name].look(revision, seen)

    async def make_route() -> None:
        ArmsDialog(visit.operator, None, [], await services.store.releases()).open()

    if visit.operator.may(Scope.OPERATE):
        with ui.element("div").classes("acts"):
            visit.button("Make a route…", make_route)
    visit.keep(read)
