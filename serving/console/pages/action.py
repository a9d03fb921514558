"""A dialog that says what will happen, does it when it is told to, and says how it went."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from nicegui import ui

from serving.console.fragments import fragment
from serving.errors import describe

_log = structlog.get_logger(__name__)


class ActionDialog:
    """A dialog for one act.

    Args:
        title: What is to be done: "Move weight on route default".
        verb: On the button that does it.
        act: Does it and returns what to say of it.
        dangerous: Whether cameras may get worse answers by it.
        why: Whether it asks for the reason, which the audit keeps.
    """

    def __init__(
        self,
        title: str,
        verb: str,
        act: Callable[[], Awaitable[str]],
        *,
        dangerous: bool = False,
        why: bool = True,
    ) -> None:
        self._act = act
        with (
            ui.dialog().props(f'aria-label="{title}"') as self._dialog,
            ui.element("div").classes("sheet"),
        ):
            ui.html(fragment("dialog_title", title=title), sanitize=False)
            self.fields = ui.element("div").classes("fields")
            self._said = ui.html("", sanitize=False).props("aria-live=polite")
            self._why = (
                ui.input("Why (kept in the audit trail)").props("outlined dense maxlength=1000")
                if why
                else None
            )
            self._error = ui.html("", sanitize=False).props("role=alert")
            with ui.element("div").classes("buttons"):
                ui.button("Cancel", on_click=self._dialog.close).props("flat no-caps")
                self._go = ui.button(
                    verb, on_click=self._do, color="negative" if dangerous else "primary"
                ).props("unelevated no-caps")
        self._dialog.on("hide", self._dialog.delete)

    @property
    def why(self) -> str:
        """The operator's words."""
        return "" if self._why is None else str(self._why.value or "").strip()

    def open(self) -> None:
        """Show it."""
        self._dialog.open()

    def tell(self, sentences: Sequence[str]) -> None:
        """Say what will happen; where that is anything, let it be done."""
        self._said.set_content(fragment("consequences", sentences=sentences))
        self._error.set_content("")
        self._go.set_enabled(bool(sentences))

    def refuse(self, message: str) -> None:
        """Say what is wrong with the fields; nothing can be done until `tell`."""
        self._said.set_content("")
        self._error.set_content(fragment("error", message=message))
        self._go.disable()

    async def _do(self) -> None:
        self._error.set_content("")
        self._go.props(add="loading")
        self._go.disable()
        try:
            said = await self._act()
        except Exception as error:  # noqa: BLE001 - whatever it is, the operator is told
            self._fail(error)
        else:
            self._dialog.close()
            ui.notify(said, type="positive", position="bottom", close_button="Close")
        finally:
            if not self._go.is_deleted:
                self._go.props(remove="loading")
                self._go.enable()

    def _fail(self, error: Exception) -> None:
        self._error.set_content(fragment("error", message=told(error)))


def told(error: Exception) -> str:
    """Return what an operator is told of an error; one that is not ours goes to the log whole."""
    info = describe(error)
    if info.code == "internal":
        _log.error("console_failed", exc_info=error)
    return info.message


def act_button(label: str, act: Callable[[], object]) -> None:
    """Draw a button that opens the dialog of an act."""
    ui.button(label, on_click=act).props("outline no-caps")
