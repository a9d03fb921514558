"""`understudy serve`, and TorchServe alone with the same archive and the same settings."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from bench.serve.contestants import MAX_BATCH, Contestant
from bench.serve.material import SECOND_VERSION, VERSION, Material
from bench.serve.processes import Groups
from bench.serve.running import Running
from serving.store.values import ReleaseKey
from serving.supervisor.processes import read_processes
from serving.torchserve.config import TorchServeConfig
from serving.torchserve.management import ManagementClient
from serving.torchserve.process import TorchServe
from understudy.demo.stack import Stack
from understudy.demo.stack import serving as understudy_serve

_TEACHER = "bench-s"


@asynccontextmanager
async def ours(
    contestant: Contestant, made: Material, variant: str | None, folder: Path
) -> AsyncIterator[Running]:
    """Run the whole stack with its arms deployed for as long as the block runs.

    Args:
        contestant: Its setting and its arms.
        made: What it serves.
        variant: Pinned for every worker; None: the archive's own choice.
        folder: Scratch.
    """
    await asyncio.to_thread(_emptied, folder)
    state_dir = folder / "state"
    options = ("--trusted-key", str(made.trusted_key))
    with _surroundings(_threads(contestant)):
        entered = understudy_serve(
            state_dir, made.model_store, folder / "serve.log", options=options
        )
        async with entered as stack:
            await _deploy(stack, contestant, variant)
            pid = stack.addresses.pid
            yield Running(
                contestant.server,
                f"{stack.addresses.http_url}/v1/detect",
                lambda: _groups(state_dir, pid),
                {"Authorization": f"Bearer {stack.key}"},
                grpc_address=stack.addresses.grpc_address,
                key=stack.key,
                metrics_url=stack.addresses.metrics_url,
            )


@asynccontextmanager
async def torchserve_alone(
    contestant: Contestant, made: Material, variant: str | None, folder: Path
) -> AsyncIterator[Running]:
    """Run TorchServe with the archive registered as our deployer registers it, nothing in front."""
    archives = folder / "archives"
    await asyncio.to_thread(_emptied, folder)
    await asyncio.to_thread(archives.mkdir)
    key = ReleaseKey(model=f"bench-{contestant.model}", version=VERSION)
    shutil.copy(made.model_store / f"{key}.mar", archives)
    pinned = {} if variant is None else {"UNDERSTUDY_VARIANT": variant}
    environment = _threads(contestant) | pinned
    config = TorchServeConfig(
        archives=archives, folder=folder / "torchserve", worker_environment=environment
    )
    async with (
        TorchServe(config) as server,
        ManagementClient(server.management_url, server.management_token) as management,
    ):
        workers = contestant.setting.workers
        await management.register(key, f"{key}.mar", workers=workers, batch_size=MAX_BATCH)
        yield Running(
            contestant.server,
            f"{server.inference_url}/predictions/{key.model}/{key.version}",
            lambda: _below(server.pid or 0),
            server.inference_token.header(),
        )


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


async def _deploy(stack: Stack, contestant: Contestant, variant: str | None) -> None:
    """Deploy what the arms need, and route to them."""
    arms: list[dict[str, Any]] = [
        {"name": "first", "release": f"bench-{contestant.model}-{VERSION}", "weight": 100}
    ]
    route: dict[str, Any] = {"arms": arms, "why": "bench"}
    if contestant.arms == 2:
        arms[0]["weight"] = 50
        arms.append({"name": "second", "release": f"bench-n-{SECOND_VERSION}", "weight": 50})
    if contestant.shadow is not None:
        arms.append({"name": "teacher", "release": f"{_TEACHER}-{VERSION}", "weight": 0})
    if contestant.shadow:
        route["shadow"] = {"arm": "teacher", "rate": contestant.shadow}
    for release in (str(arm["release"]) for arm in arms):
        body = {
            "path": f"{release}.mar",
            # The same number of workers, however many share them.
            "workers": max(1, contestant.setting.workers // len(arms)),
            "batch_size": MAX_BATCH,
            # What is best for the student need not be in the teacher's card.
            "variant": "auto" if release.startswith(_TEACHER) or variant is None else variant,
        }
        await stack.call("POST", "/releases", body)
    await stack.call("PUT", "/routes/default", route)


def _threads(contestant: Contestant) -> dict[str, str]:
    return {"UNDERSTUDY_THREADS": str(contestant.setting.threads)}


@contextlib.contextmanager
def _surroundings(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the children that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text


def _groups(state_dir: Path, supervisor: int) -> Groups:
    """Return the stack's processes by group."""
    found: dict[str, frozenset[int]] = {"supervisor": frozenset({supervisor})}
    for name, process in read_processes(state_dir).items():
        if process.pid is None:
            continue
        if name.startswith("torchserve"):
            below = _below(process.pid)
        else:
            below = {name.rstrip("-0123456789"): frozenset({process.pid})}
        for group, pids in below.items():
            found[group] = found.get(group, frozenset()) | pids
    return found


def _below(guard: int) -> Groups:
    """Return a TorchServe's processes: Java's (and the guard's) and the workers'."""
    jvm, workers = {guard}, set[int]()
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(guard).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                (jvm if "java" in child.name() else workers).add(child.pid)
    return {"jvm": frozenset(jvm), "worker": frozenset(workers)}
