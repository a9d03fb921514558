"""The page of who did what, when and why."""

from nicegui import ui

from serving.console.fragments import fragment
from serving.console.operator import Operator
from serving.errors import UnderstudyError
from serving.store.values import AuditEntry, Scope

_LOOK_EVERY_S = 5.0
_MOST = 200


async def audit_page(operator: Operator, root: str) -> None:
    """Draw the trail, and keep it up to date while somebody looks."""
    del root
    with ui.element("section").classes("card").props('aria-label="Audit trail"'):
        ui.html(fragment("audit_head", most=_MOST), sanitize=False)
        wanted = ui.input("Only what holds these words").props("outlined dense clearable")
        wanted.classes("filter")
        shown = ui.html("", sanitize=False)

    async def look() -> None:
        try:
            await operator.look(Scope.OPERATE)
            entries = await operator.services.store.audit_log(_MOST)
        except UnderstudyError as error:
            shown.set_content(fragment("error", message=error.message))
            return
        words = str(wanted.value or "").lower().split()
        found = [one for one in entries if all(word in _text(one) for word in words)]
        shown.set_content(fragment("audit", entries=found, now=await operator.services.store.now()))

    wanted.on_value_change(look)
    await look()
    ui.timer(_LOOK_EVERY_S, look, immediate=False)


def _text(entry: AuditEntry) -> str:
    """Return all of an entry in lower case, to search in."""
    return " ".join((entry.who, entry.action, entry.subject, entry.detail)).lower()
