"""The page of which version answers which camera."""

from nicegui import ui

from serving.console.cameras_now import cameras_now
from serving.console.fragments import fragment
from serving.console.pages.visit import Visit
from serving.store.values import Scope

_MOST = 200


def cameras_page(visit: Visit) -> None:
    """Draw the cameras, those that need somebody first, and keep them up to date."""
    services = visit.operator.services
    with ui.element("section").classes("card").props('aria-label="Cameras"'):
        ui.html(fragment("cameras_head"), sanitize=False)
        wanted = ui.input("Only cameras, groups, routes, arms or releases with these words")
        wanted.classes("filter wide").props("outlined dense clearable debounce=300 maxlength=200")
        shown = ui.html("", sanitize=False)

    async def read() -> None:
        seen = await services.watch.now()
        traffic = {name: await services.watch.traffic(name) for name in seen.desired.routes}
        found = cameras_now(await services.watch.cameras(), traffic, seen.now)
        words = str(wanted.value or "").lower().split()
        held = [one for one in found if one.holds(words)]
        rows = fragment("cameras", cameras=held[:_MOST], more=max(0, len(held) - _MOST))
        shown.set_content(rows)

    wanted.on_value_change(visit.look)
    # What cameras there are is not for every camera's key.
    visit.keep(read, Scope.OPERATE)
