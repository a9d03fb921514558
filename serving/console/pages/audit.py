"""The page of who did what, when and why."""

from nicegui import ui

from serving.console.fragments import fragment
from serving.console.pages.visit import Visit
from serving.store.values import Scope

_MOST = 200


def audit_page(visit: Visit) -> None:
    """Draw the trail, and keep it up to date while somebody looks."""
    store = visit.operator.services.store
    with ui.element("section").classes("card").props('aria-label="Audit trail"'):
        ui.html(fragment("audit_head", most=_MOST), sanitize=False)
        wanted = ui.input("Only what holds these words").props("outlined dense clearable")
        wanted.classes("filter").props("debounce=300 maxlength=200")
        shown = ui.html("", sanitize=False)

    async def read() -> None:
        words = str(wanted.value or "").split()
        entries = await store.audit_log(_MOST, words)
        shown.set_content(fragment("audit", entries=entries, words=words))

    wanted.on_value_change(visit.look)
    visit.keep(read, Scope.OPERATE)
