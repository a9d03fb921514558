"""The dialog that takes a release's workers away."""

from collections.abc import Sequence

from nicegui import ui

from serving.console.operator import Operator
from serving.console.pages.action import ActionDialog
from serving.store.values import Release, ReleaseKey


class RetireDialog:
    """Asks which idle release is to go.

    Args:
        operator: Who retires it.
        idle: Those that no route names.
    """

    def __init__(self, operator: Operator, idle: Sequence[Release]) -> None:
        self._operator = operator
        self._dialog = ActionDialog("Retire a release", "Retire", self._retire, dangerous=True)
        names = [str(one.key) for one in idle]
        with self._dialog.fields:
            self._release = ui.select(
                names,
                value=names[0] if names else None,
                label="Release that no route names",
                on_change=self._tell,
            ).props("outlined dense")
        self._tell()

    def open(self) -> None:
        """Show it."""
        self._dialog.open()

    def _tell(self) -> None:
        name = self._release.value
        if not name:
            self._dialog.refuse(
                "Every loaded release is named by a route: take it off there first."
            )
            return
        self._dialog.tell(
            [
                f"{name} is drained: frames that it holds are answered first.",
                "Then its workers end and their memory is free. No camera moves.",
                "To go back to it, it must be deployed again.",
            ]
        )

    async def _retire(self) -> str:
        key = ReleaseKey.parse(str(self._release.value))
        release = await self._operator.retire(key, why=self._dialog.why)
        return f"{release.key} is {release.state}."
