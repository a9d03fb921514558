"""A dialog that says what will happen, does it when it is told to, and says how it went."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from serving.console.fragments import fragment
from serving.console.pages.visit import fail
from serving.console.troubles import told


class ActionDialog:
    """A dialog for one act.

    While it acts nothing closes it: what has begun is not called back, and its end is told here.

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
        self._acts = False
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
                self._cancel = ui.button("Cancel", on_click=self._dialog.close)
                self._cancel.props("flat no-caps")
                self._go = ui.button(
                    verb, on_click=self._do, color="negative" if dangerous else "primary"
                ).props("unelevated no-caps")
        self._dialog.on("hide", self._dialog.delete)

    @property
    def is_gone(self) -> bool:
        """Whether it was closed."""
        return self._dialog.is_deleted

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
        self._go.set_enabled(bool(sentences) and not self._acts)

    def refuse(self, message: str) -> None:
        """Say what is wrong with the fields; nothing can be done until `tell`."""
        self._said.set_content("")
        self._error.set_content(fragment("error", message=message))
        self._go.disable()

    async def _do(self) -> None:
        self._error.set_content("")
        self._hold(True)
        try:
            said = await self._act()
        except Exception as error:  # noqa: BLE001 - whatever it is, the operator is told
            self._fail(told(error))
        else:
            self._hold(False)
            self._dialog.close()
            ui.notify(said, type="positive", position="bottom", close_button="Close")

    def _hold(self, acting: bool) -> None:
        """Let nothing close it while it acts."""
        self._acts = acting
        how = "add" if acting else "remove"
        self._dialog.props(**{how: "persistent"})
        self._go.props(**{how: "loading"})
        self._go.set_enabled(not acting)
        self._cancel.set_enabled(not acting)

    def _fail(self, message: str) -> None:
        if self.is_gone:
            # A page that was left for another, say; whoever is still there is told.
            fail(message)
            return
        self._hold(False)
        self._error.set_content(fragment("error", message=message))
