"""The dialog that deploys an archive of the model store."""

from collections.abc import Sequence

from nicegui import ui
from pydantic import ValidationError

from serving.api.admin_models import DeployRequest
from serving.console.deploys import consequences, release_in
from serving.console.operator import Operator
from serving.console.pages.action import ActionDialog
from serving.console.pages.fields import complaint_of
from serving.console.store_shelf import Shelved
from serving.controlplane.releases import LOADED
from serving.errors import ReleaseBusy
from serving.store.values import AUTO, Release
from serving.words import size

_USUAL = DeployRequest(path="", workers=1)


class DeployDialog:
    """Asks which archive, and how it is to run.

    Args:
        operator: Who deploys.
        shelf: What lies in the model store.
        known: All releases.
        backends: How many there are.
    """

    def __init__(
        self,
        operator: Operator,
        shelf: Sequence[Shelved],
        known: Sequence[Release],
        backends: int,
    ) -> None:
        self._operator = operator
        self._backends = backends
        self._loaded = {one.key: one for one in known if one.state in LOADED}
        self._dialog = ActionDialog("Deploy a release", "Deploy", self._deploy, why=False)
        choices = {one.path: f"{one.path} ({size(one.size_bytes)})" for one in shelf}
        with self._dialog.fields:
            self._path = ui.select(
                choices,
                value=next(iter(choices), None),
                label="Archive in the model store",
                on_change=self._chosen,
            ).props("outlined dense")
            with ui.element("div").classes("pair"):
                self._workers = self._number("Workers on each backend")
                self._batch = self._number("Largest batch")
            self._variant = ui.input(
                "Variant of the card; auto: the fastest that answers rightly", on_change=self._tell
            ).props("outlined dense")
        self._chosen()

    def open(self) -> None:
        """Show it."""
        self._dialog.open()

    def _number(self, label: str) -> ui.number:
        return ui.number(label, min=1, precision=0, on_change=self._tell).props("outlined dense")

    def _chosen(self) -> None:
        """Offer what an archive that is loaded runs with: only its workers may change."""
        usual = self._as_loaded() or _USUAL
        self._workers.value = usual.workers
        self._batch.value = usual.batch_size
        self._variant.value = usual.variant or AUTO
        self._tell()

    def _as_loaded(self) -> Release | None:
        key = release_in(str(self._path.value or ""))
        return None if key is None else self._loaded.get(key)

    def _tell(self) -> None:
        if not self._path.value:
            self._dialog.refuse(
                f"No archive lies in {self._operator.services.model_store}: build one first."
            )
            return
        try:
            said = consequences(self._wanted(), self._as_loaded(), self._backends)
        except ValidationError as error:
            self._dialog.refuse(complaint_of(error))
        except ReleaseBusy as error:
            self._dialog.refuse(error.message)
        else:
            self._dialog.tell(said)

    def _wanted(self) -> DeployRequest:
        usual = self._as_loaded() or _USUAL
        return DeployRequest(
            path=str(self._path.value),
            workers=int(self._workers.value or 0),
            batch_size=int(self._batch.value or 0),
            batch_delay_ms=usual.batch_delay_ms,
            threads=usual.threads,
            variant=str(self._variant.value or ""),
        )

    async def _deploy(self) -> str:
        release = await self._operator.deploy(self._wanted())
        return f"{release.key} is {release.state}."
