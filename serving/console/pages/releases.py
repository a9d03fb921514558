"""The page of releases: where each stands, what it runs on, and how to bring and take one."""

import asyncio
from collections.abc import Sequence

from nicegui import ui
from pydantic import ValidationError

from serving.api.admin_models import DeployRequest
from serving.api.complaints import complaint
from serving.console.fragments import fragment
from serving.console.operator import Operator
from serving.console.pages.action import ActionDialog, act_button
from serving.console.store_shelf import REPORTS, Shelved, archives, report
from serving.console.words import count, size
from serving.errors import UnderstudyError
from serving.store.values import AUTO, Release, ReleaseKey, ReleaseState, Scope

_LOOK_EVERY_S = 2.5
_RETIRABLE = {ReleaseState.READY, ReleaseState.STANDBY}


async def releases_page(operator: Operator, root: str) -> None:
    """Draw every release, and keep it up to date while somebody looks."""
    with ui.element("section").classes("card").props('aria-label="Releases"'):
        ui.html(fragment("releases_head"), sanitize=False)
        with ui.element("div").classes("acts"):
            if operator.may(Scope.OPERATE):
                act_button("Deploy…", lambda: _deploy(operator))
                act_button("Retire…", lambda: _retire(operator))
        shown = ui.html("", sanitize=False)

    async def look() -> None:
        try:
            await operator.look()
            shown.set_content(await _table(operator, root))
        except UnderstudyError as error:
            shown.set_content(fragment("error", message=error.message))

    await look()
    ui.timer(_LOOK_EVERY_S, look, immediate=False)


async def _table(operator: Operator, root: str) -> str:
    services = operator.services
    releases = sorted(await services.store.releases(), key=lambda one: one.updated, reverse=True)
    placements = await services.store.placements()
    routes = await services.store.routes()
    reports = await asyncio.to_thread(_reports, operator, releases)
    rows = [
        {
            "one": one,
            "release": str(one.key),
            "state": one.state,
            "workers": {
                name: loaded[one.key] for name, loaded in placements.items() if one.key in loaded
            },
            "arms": [
                f"{arm.name} of {name}, {arm.weight:g}%"
                for name, revision in sorted(routes.items())
                for arm in revision.route.arms
                if arm.release == one.key
            ],
            "reports": reports[str(one.key)],
        }
        for one in releases
    ]
    return fragment("releases", rows=rows, now=await services.store.now(), root=root, auto=AUTO)


def _reports(operator: Operator, releases: Sequence[Release]) -> dict[str, list[str]]:
    folder, kinds = operator.services.model_store, REPORTS if operator.may(Scope.OPERATE) else ()
    return {
        str(one.key): [kind for kind in kinds if report(folder, str(one.key), kind)]
        for one in releases
    }


async def _deploy(operator: Operator) -> None:
    services = operator.services
    shelf = await asyncio.to_thread(archives, services.model_store)
    _DeployDialog(operator, shelf, len(services.backends)).open()


async def _retire(operator: Operator) -> None:
    store = operator.services.store
    named = {key for one in (await store.routes()).values() for key in one.route.releases()}
    idle = [
        one for one in await store.releases() if one.state in _RETIRABLE and one.key not in named
    ]
    _RetireDialog(operator, idle).open()


class _DeployDialog:
    """Asks which archive, and how it is to run."""

    def __init__(self, operator: Operator, shelf: Sequence[Shelved], backends: int) -> None:
        self._operator = operator
        self._backends = backends
        self._dialog = ActionDialog("Deploy a release", "Deploy", self._deploy, why=False)
        choices = {one.path: f"{one.path} ({size(one.size_bytes)})" for one in shelf}
        with self._dialog.fields:
            self._path = ui.select(
                choices,
                value=next(iter(choices), None),
                label="Archive in the model store",
                on_change=self._tell,
            ).props("outlined dense")
            with ui.element("div").classes("pair"):
                self._workers = self._number("Workers on each backend", 1)
                self._batch = self._number("Largest batch", 8)
            self._variant = ui.input(
                "Variant of the card; auto: the fastest that answers rightly",
                value=AUTO,
                on_change=self._tell,
            ).props("outlined dense")
        self._tell()

    def open(self) -> None:
        """Show it."""
        self._dialog.open()

    def _number(self, label: str, value: int) -> ui.number:
        return ui.number(label, value=value, min=1, precision=0, on_change=self._tell).props(
            "outlined dense"
        )

    def _tell(self) -> None:
        if not self._path.value:
            self._dialog.refuse(
                f"No archive lies in {self._operator.services.model_store}: build one first."
            )
            return
        try:
            wanted = self._wanted()
        except ValidationError as error:
            first = error.errors()[0]
            self._dialog.refuse(f"{'.'.join(map(str, first['loc']))}: {complaint(first)}")
            return
        self._dialog.tell(
            [
                f"{wanted.path} is copied, and its signature is checked against the trusted keys.",
                f"It is loaded on {count(wanted.workers, 'worker')} of "
                f"{count(self._backends, 'backend')}, and must answer its golden frames as it did "
                "where it was built.",
                "No camera moves: it answers cameras once an arm of a route has it.",
            ]
        )

    def _wanted(self) -> DeployRequest:
        return DeployRequest(
            path=str(self._path.value),
            workers=int(self._workers.value or 0),
            batch_size=int(self._batch.value or 0),
            variant=str(self._variant.value or ""),
        )

    async def _deploy(self) -> str:
        release = await self._operator.deploy(self._wanted())
        return f"{release.key} is {release.state}."


class _RetireDialog:
    """Asks which idle release is to go."""

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
