"""The controller's way to a TorchServe on another machine: HTTP, behind the worker key.

What would be done on one machine by hand goes through here: an archive is taken from this machine's
model store, verified here, before TorchServe can load it; the workers are told how to serve it; and
calls of the management API, which listens on the loopback interface alone, are passed on.
"""

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import aiohttp
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from serving.api.auth import http_key
from serving.api.body_limit import BodyLimit
from serving.api.http_errors import answer_errors
from serving.controlplane.archives import Archive, ArchiveStore
from serving.errors import ArchiveRejected, BackendUnavailable, Unauthenticated
from serving.machine import memory_for_workers_bytes
from serving.store.values import ReleaseKey
from serving.torchserve.process import TorchServe
from serving.worker.leaving import Leaving
from serving.worker.worker_key import WorkerKey

_BODY_LIMIT_BYTES = 64 * 1024

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
"""SHA-256, hex: it becomes a file's name."""


class Asked(BaseModel):
    """How a release is to be served here; see `Choices.ask`.

    Attributes:
        sha256: Of its archive.
        variant: None: the fastest, as the workers find it.
        threads: Of a run; None: their share of the cores.
        workers: How many processes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Digest
    variant: str | None
    threads: int | None
    workers: int


def create_door(
    torchserve: TorchServe, archives: ArchiveStore, key: WorkerKey, leaving: Leaving
) -> FastAPI:
    """Return the application.

    Args:
        torchserve: Runs here.
        archives: Its store of verified copies.
        key: Who shows it may do everything.
        leaving: Tells when this worker is about to stop.
    """
    app = FastAPI(title="Understudy worker", docs_url=None, redoc_url=None, openapi_url=None)
    answer_errors(app)
    app.add_middleware(BodyLimit, limit_bytes=_BODY_LIMIT_BYTES)

    async def controller(request: Request) -> None:
        if not key.is_in(http_key(request)):
            raise Unauthenticated("this is not the worker key (UNDERSTUDY_WORKER_KEY_FILE)")

    app.include_router(_probes(torchserve, leaving))
    known = [Depends(controller)]
    app.include_router(_releases(torchserve, archives, leaving), dependencies=known)
    app.include_router(_management(torchserve, archives, leaving), dependencies=known)
    return app


def _probes(torchserve: TorchServe, leaving: Leaving) -> APIRouter:
    router = APIRouter()

    @router.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def readyz() -> dict[str, str]:
        leaving.refuse()
        if not torchserve.up.is_set():
            raise BackendUnavailable("TorchServe is not up")
        return {"status": "ready"}

    return router


def _releases(torchserve: TorchServe, archives: ArchiveStore, leaving: Leaving) -> APIRouter:
    router = APIRouter(prefix="/v1")
    choices = torchserve.config.choices
    one_at_a_time = asyncio.Lock()

    @router.put("/releases/{model}/{version}")
    async def prepare(model: str, version: str, asked: Asked) -> dict[str, str]:
        leaving.refuse()
        key = ReleaseKey(model=model, version=version)

        def work() -> str:
            card_sha256 = _verified(archives, key, asked.sha256).card_sha256()
            choices.ask(
                card_sha256, variant=asked.variant, threads=asked.threads, workers=asked.workers
            )
            return card_sha256

        async with one_at_a_time:
            return {"cardSha256": await asyncio.to_thread(work)}

    @router.get("/faults/{card_sha256}")
    async def fault(card_sha256: Digest) -> dict[str, str]:
        return {"fault": await asyncio.to_thread(choices.fault, card_sha256)}

    @router.get("/memory")
    async def memory() -> dict[str, int]:
        return {"forWorkersBytes": await asyncio.to_thread(memory_for_workers_bytes)}

    return router


def _management(torchserve: TorchServe, archives: ArchiveStore, leaving: Leaving) -> APIRouter:
    router = APIRouter()

    @router.api_route("/models{rest:path}", methods=["GET", "POST", "PUT", "DELETE"])
    async def manage(request: Request) -> Response:
        said = leaving.answer(request.method, request.url.path)
        if said is not None:
            return said
        removes = request.method == "DELETE"
        loaded = await _loaded(request.url.path, torchserve.management_url) if removes else ""
        reply = await _passed_on(request, torchserve.management_url)
        if loaded and reply.status_code == HTTPStatus.OK:
            await asyncio.to_thread(archives.remove, loaded)
        return reply

    return router


def _verified(archives: ArchiveStore, key: ReleaseKey, sha256: str) -> Archive:
    """Return this machine's own copy, taken and verified here if there is none.

    Raises:
        ArchiveRejected: The model store has another archive, or none that can be trusted.
    """
    if archives.path(sha256).is_file():
        return archives.open(sha256, key)
    archive = archives.take(Path(f"{key}.mar"))
    if archive.sha256 != sha256:
        archives.remove(archive.sha256)
        raise ArchiveRejected(
            f"{key}: this worker's model store has another archive of that name (sha256 "
            f"{archive.sha256[:12]}, wanted {sha256[:12]}): give it the one that was deployed"
        )
    return archive


async def _loaded(path: str, management_url: str) -> str:
    """Return the digest of the archive that a version runs from; "" where it does not run.

    Raises:
        BackendUnavailable: TorchServe does not answer.
    """
    try:
        async with aiohttp.ClientSession(management_url) as http, http.get(path) as reply:
            found = await reply.json(content_type=None)
    except (aiohttp.ClientError, ValueError) as error:
        raise BackendUnavailable("TorchServe is not up") from error
    return str(found[0]["modelUrl"]).removesuffix(".mar") if isinstance(found, list) else ""


async def _passed_on(request: Request, management_url: str) -> Response:
    """Answer as TorchServe's management API does.

    Raises:
        BackendUnavailable: It does not answer.
    """
    # The controller's own patience ends the call: its connection closes, and this one with it.
    patience = aiohttp.ClientTimeout(total=None)
    try:
        async with (
            aiohttp.ClientSession(management_url, timeout=patience) as http,
            http.request(
                request.method, request.url.path, params=request.query_params.multi_items()
            ) as reply,
        ):
            return Response(await reply.read(), reply.status, media_type=reply.content_type)
    except aiohttp.ClientError as error:
        raise BackendUnavailable("TorchServe is not up") from error
