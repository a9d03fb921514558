"""The page of releases: where each stands, what it runs on, and how to bring and take one."""

import asyncio
from collections.abc import Sequence

from nicegui import ui

from serving.console.fragments import fragment
from serving.console.operator import Operator
from serving.console.pages.deploying import DeployDialog
from serving.console.pages.retiring import RetireDialog
from serving.console.pages.visit import Visit
from serving.console.snapshot import Snapshot
from serving.console.store_shelf import REPORTS, archives, reports
from serving.store.values import AUTO, Release, ReleaseState, Scope

_RETIRABLE = {ReleaseState.READY, ReleaseState.STANDBY}


def releases_page(visit: Visit) -> None:
    """Draw every release, and keep it up to date while somebody looks."""
    operator = visit.operator
    services = operator.services
    may_read = operator.may(Scope.OPERATE)
    with ui.element("section").classes("card").props('aria-label="Releases"'):
        ui.html(fragment("releases_head"), sanitize=False)
        with ui.element("div").classes("acts"):
            if operator.may(Scope.OPERATE):
                visit.button("Deploy…", lambda: _deploy(operator))
                visit.button("Retire…", lambda: _retire(operator))
        shown = ui.html("", sanitize=False)

    async def read() -> None:
        seen = await services.watch.now()
        releases = seen.desired.releases
        # Pictures of the data are in a report.
        found = await asyncio.to_thread(reports, services.model_store) if may_read else {}
        rows = [
            _row(one, seen, [kind for kind in REPORTS if kind in found.get(str(one.key), {})])
            for one in sorted(releases, key=lambda one: one.updated, reverse=True)
        ]
        shown.set_content(fragment("releases", rows=rows, root=visit.root, auto=AUTO))

    visit.keep(read)


def _row(one: Release, seen: Snapshot, kinds: Sequence[str]) -> dict[str, object]:
    return {
        "one": one,
        "release": str(one.key),
        "state": one.state,
        "workers": seen.workers(one.key),
        "arms": [
            f"{arm.name} of {name}, {arm.weight:g}%"
            for name, revision in sorted(seen.desired.routes.items())
            for arm in revision.route.arms
            if arm.release == one.key
        ],
        "reports": kinds,
    }


async def _deploy(operator: Operator) -> None:
    services = operator.services
    shelf = await asyncio.to_thread(archives, services.model_store)
    known = await services.store.releases()
    DeployDialog(operator, shelf, known, len(services.backends)).open()


async def _retire(operator: Operator) -> None:
    store = operator.services.store
    named = {key for one in (await store.routes()).values() for key in one.route.releases()}
    idle = [
        one for one in await store.releases() if one.state in _RETIRABLE and one.key not in named
    ]
    RetireDialog(operator, idle).open()
