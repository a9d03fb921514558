"""The admin API: what the console, the command line and scripts move the deployment with."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import ValidationError

from serving.access.authenticator import Authenticator
from serving.api.admin_cameras import cameras_router
from serving.api.admin_keys import keys_router
from serving.api.admin_models import (
    AuditLog,
    BackendInfo,
    DeployRequest,
    PromoteRequest,
    ReleaseInfo,
    RollbackRequest,
    RouteInfo,
    RouteRequest,
    RunningInfo,
    StatusInfo,
)
from serving.api.admin_period import period_router
from serving.api.auth import requires
from serving.controlplane.controller import Controller
from serving.controlplane.propagation import propagated
from serving.errors import ReleaseNotFound, UnknownRoute
from serving.machine import Machine
from serving.store.store import Store
from serving.store.values import ApiKey, ReleaseKey, RouteRevision, Scope

PREFIX = "/admin/v1"

Limit = Annotated[int, Query(ge=1, le=1000)]
Caller = Callable[[Request], Awaitable[ApiKey]]


def admin_router(
    controller: Controller,
    store: Store,
    authenticator: Authenticator,
    *,
    admin_key_file: Path | None = None,
) -> APIRouter:
    """Return the admin API's routes; every one asks for a key.

    Args:
        controller: Moves releases and routes.
        store: Read directly where nothing moves.
        authenticator: Checks keys: scope operate for releases and routes, admin for keys.
        admin_key_file: Where the first start wrote a key; None: nowhere.
    """
    router = APIRouter(prefix=PREFIX)
    operator = requires(authenticator, Scope.OPERATE)
    router.include_router(_releases(controller, store, operator))
    router.include_router(_routes(store, operator))
    router.include_router(_route_changes(controller, store, operator))
    router.include_router(cameras_router(store, operator))
    router.include_router(_status(controller, store, operator))
    router.include_router(period_router(store, authenticator))
    admin = requires(authenticator, Scope.ADMIN)
    router.include_router(keys_router(store, admin, admin_key_file))
    return router


def _releases(controller: Controller, store: Store, operator: Caller) -> APIRouter:
    router = APIRouter(prefix="/releases", tags=["releases"])

    @router.get("")
    async def list_releases(_: Annotated[ApiKey, Depends(operator)]) -> list[ReleaseInfo]:
        """Every release this deployment was ever handed, the oldest first."""
        return [ReleaseInfo.of(release) for release in await store.releases()]

    @router.get("/{release}")
    async def show_release(release: str, _: Annotated[ApiKey, Depends(operator)]) -> ReleaseInfo:
        """One release."""
        found = await store.release(_release_key(release))
        if found is None:
            raise _no_release(release)
        return ReleaseInfo.of(found)

    @router.post("", status_code=HTTPStatus.CREATED)
    async def deploy(
        wanted: DeployRequest, caller: Annotated[ApiKey, Depends(operator)]
    ) -> ReleaseInfo:
        """Verify, load and warm an archive; answers when it is ready, or says why it is not."""
        release = await controller.deploy(
            Path(wanted.path),
            workers=wanted.workers,
            batch_size=wanted.batch_size,
            batch_delay_ms=wanted.batch_delay_ms,
            threads=wanted.threads,
            variant=wanted.variant,
            who=caller.name,
        )
        return ReleaseInfo.of(release)

    @router.delete("/{release}", status_code=HTTPStatus.ACCEPTED)
    async def retire(
        release: str,
        caller: Annotated[ApiKey, Depends(operator)],
        why: Annotated[str, Query(max_length=1000)] = "",
    ) -> ReleaseInfo:
        """Drain and remove a release that no route names; answers while it drains."""
        key = _release_key(release)
        return ReleaseInfo.of(await controller.retire(key, who=caller.name, why=why))

    return router


def _routes(store: Store, operator: Caller) -> APIRouter:
    router = APIRouter(prefix="/routes", tags=["routes"])

    @router.get("")
    async def list_routes(_: Annotated[ApiKey, Depends(operator)]) -> list[RouteInfo]:
        """Every route as it stands."""
        return [RouteInfo.of(revision) for revision in (await store.routes()).values()]

    @router.get("/{name}")
    async def show_route(name: str, _: Annotated[ApiKey, Depends(operator)]) -> RouteInfo:
        """One route as it stands."""
        found = (await store.routes()).get(name)
        if found is None:
            raise _no_route(name)
        return RouteInfo.of(found)

    @router.get("/{name}/history")
    async def history(
        name: str, _: Annotated[ApiKey, Depends(operator)], limit: Limit = 50
    ) -> list[RouteInfo]:
        """A route's revisions, newest first."""
        revisions = await store.history(name, limit)
        if not revisions:
            raise _no_route(name)
        return [RouteInfo.of(revision) for revision in revisions]

    return router


def _route_changes(controller: Controller, store: Store, operator: Caller) -> APIRouter:
    """Return the calls that change a route; each answers once the gateways send by the change."""
    router = APIRouter(prefix="/routes", tags=["routes"])

    async def in_effect(added: RouteRevision) -> RouteInfo:
        await propagated(store, added.revision)
        return RouteInfo.of(added)

    @router.put("/{name}")
    async def set_route(
        name: str, wanted: RouteRequest, caller: Annotated[ApiKey, Depends(operator)]
    ) -> RouteInfo:
        """Give a route another state, or make it."""
        added = await controller.set_route(
            wanted.route(name),
            who=caller.name,
            why=wanted.why,
            expected_revision=wanted.expected_revision,
        )
        return await in_effect(added)

    @router.post("/{name}/promote")
    async def promote(
        name: str, wanted: PromoteRequest, caller: Annotated[ApiKey, Depends(operator)]
    ) -> RouteInfo:
        """Give one arm everything; the others stay on the route with nothing."""
        who, why = caller.name, wanted.why
        return await in_effect(await controller.promote(name, wanted.arm, who=who, why=why))

    @router.post("/{name}/rollback")
    async def rollback(
        name: str, wanted: RollbackRequest, caller: Annotated[ApiKey, Depends(operator)]
    ) -> RouteInfo:
        """Go back to the newest earlier revision that differs and can answer at once."""
        added = await controller.rollback(
            name, who=caller.name, why=wanted.why, revision=wanted.revision
        )
        return await in_effect(added)

    return router


def _status(controller: Controller, store: Store, operator: Caller) -> APIRouter:
    router = APIRouter(tags=["status"])
    machine = Machine.here()

    @router.get("/status")
    async def status(_: Annotated[ApiKey, Depends(operator)]) -> StatusInfo:
        """The deployment at a glance."""
        found = await controller.running()
        running = tuple(
            RunningInfo.of(name, one) for name, several in found.items() for one in several or ()
        )
        routes = await store.routes()
        return StatusInfo(
            revision=max((one.revision for one in routes.values()), default=0),
            leads=controller.leads,
            machine=machine,
            routes=tuple(RouteInfo.of(one) for one in routes.values()),
            releases=tuple(ReleaseInfo.of(one) for one in await store.releases()),
            backends=tuple(
                BackendInfo(name=name, answers=several is not None, here=controller.is_here(name))
                for name, several in found.items()
            ),
            running=running if any(several is not None for several in found.values()) else None,
            draining=tuple(sorted(map(str, controller.draining))),
            gateways=tuple(await store.gateways()),
        )

    @router.get("/audit")
    async def audit(_: Annotated[ApiKey, Depends(operator)], limit: Limit = 100) -> AuditLog:
        """Who did what, newest first."""
        return AuditLog(entries=tuple(await store.audit_log(limit)))

    return router


def _release_key(text: str) -> ReleaseKey:
    try:
        return ReleaseKey.parse(text)
    except ValidationError as error:
        raise _no_release(text) from error


def _no_release(text: str) -> ReleaseNotFound:
    return ReleaseNotFound(f"release: no release {text!r} here, as in student-1.0")


def _no_route(name: str) -> UnknownRoute:
    return UnknownRoute("route", f"route: no route {name!r}; set it with `understudy route set`")
