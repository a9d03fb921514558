"""Somebody at a page: what keeps it fresh, says that it is not, and opens its dialogs."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from nicegui import ui

from serving.console.fragments import fragment
from serving.console.operator import Operator
from serving.console.troubles import told
from serving.store.values import Scope

Read = Callable[[], Awaitable[None]]
"""Reads what a page shows, and shows it."""

_LOOK_EVERY_S = 2.0
# An hour of many gateways takes seconds to read at first.
_PATIENCE_S = 15.0


class Visit:
    """Draws where a page's content goes; what is drawn within `content` is the page's.

    Every page is read in the same way: the key is checked first, whatever goes wrong is said above
    what was read last, and that is dimmed. A session that is over is the door's matter: it ends
    the page's socket, and the page's script asks for the way.

    Args:
        operator: Who looks.
        root: Path at which the console is mounted.

    Attributes:
        operator: Who looks.
        root: Path at which the console is mounted.
        content: Where the page's content goes.
    """

    def __init__(self, operator: Operator, root: str) -> None:
        self.operator = operator
        self.root = root
        self._read_at: datetime | None = None
        self._reading = asyncio.Lock()
        self._read: Read = _nothing
        self._scope = Scope.DETECT
        # Not before the page is there: a store that is slow must not keep it from being drawn.
        self._notice = ui.html(fragment("reading"), sanitize=False).props("role=status")
        self.content = ui.element("div")
        # A dialog goes with what it was opened from, and what a page shows is often replaced.
        self._dialogs = ui.element("div")

    def keep(self, read: Read, scope: Scope = Scope.DETECT) -> None:
        """Read now, and every two seconds while somebody looks.

        Args:
            read: Reads what the page shows.
            scope: What a key must have to see it.
        """
        self._read, self._scope = read, scope
        ui.timer(_LOOK_EVERY_S, self.look)

    async def look(self) -> None:
        """Read once; what goes wrong is said on the page."""
        async with self._reading:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self.operator.look(self._scope)
                    with self.content:
                        await self._read()
            except Exception as error:  # noqa: BLE001 - the next look may succeed
                self._old(told(error))
            else:
                self._fresh()

    def button(self, label: str, act: Callable[[], Any]) -> None:
        """Draw a button that opens a dialog; where that fails, it is said.

        Args:
            label: On the button.
            act: Opens the dialog; may be a coroutine function.
        """

        async def opened() -> None:
            self._dialogs.clear()
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self.operator.look(Scope.OPERATE)
                    with self._dialogs:
                        if inspect.isawaitable(found := act()):
                            await found
            except Exception as error:  # noqa: BLE001 - whatever it is, the operator is told
                fail(told(error))

        ui.button(label, on_click=opened).props("outline no-caps")

    def _fresh(self) -> None:
        self._read_at = datetime.now(UTC)
        self._notice.set_content("")
        self.content.classes(remove="old")

    def _old(self, message: str) -> None:
        self._notice.set_content(fragment("old", message=message, at=self._read_at))
        self.content.classes(add="old")


def fail(message: str) -> None:
    """Say what went wrong where nothing else is there to say it."""
    ui.notify(message, type="negative", position="bottom", close_button="Close", timeout=0)


async def _nothing() -> None:
    pass
