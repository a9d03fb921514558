"""Faults, put in one after the other; each ends when everything stands again.

The first TorchServe and the first gateway are left alone once the deployment is warm, so that there
are processes that live through all of it.
"""

import asyncio
import json
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import aiohttp
import psutil

from bench.soak.judging import Fault
from bench.swap.deployment import Deployment, until
from bench.swap.kills import REPAIR_S, has_ended, is_whole, pids_now

# TorchServe gives a batch a minute before it kills the worker that hangs.
_HANGS_S = 150.0
_LOCKED_S = 4.0
EARLY = ("controller killed", "gateway killed", "worker killed", "Java killed")
KINDS = (
    "worker killed",
    "gateway killed",
    "store locked",
    "Java killed",
    "token renewed",
    "worker hangs",
)


async def put_in(deployment: Deployment, kind: str) -> Fault:
    """Put a fault in, and wait until it has healed.

    Args:
        deployment: Two gateways, two backends; all of them stand.
        kind: One of `KINDS` or `EARLY`.

    Raises:
        TimeoutError: It did not heal.
    """
    await until(lambda: is_whole(deployment), REPAIR_S)
    began_s = time.monotonic()
    match kind:
        case "store locked":
            await asyncio.to_thread(_lock_store, deployment.state_dir)
        case "token renewed":
            await _renew_token(deployment.state_dir / "torchserve-1")
        case "worker hangs":
            await _end(deployment, _victim(deployment, kind), signal.SIGSTOP, _HANGS_S)
        case _:
            await _end(deployment, _victim(deployment, kind), signal.SIGKILL, REPAIR_S)
    await until(lambda: is_whole(deployment), REPAIR_S)
    return Fault(kind, began_s, time.monotonic())


async def _end(deployment: Deployment, victim: int, how: signal.Signals, patience_s: float) -> None:
    os.kill(victim, how)
    await until(lambda: has_ended(victim), patience_s)
    await until(lambda: is_whole(deployment, without=victim), REPAIR_S)


def _victim(deployment: Deployment, kind: str) -> int:
    pids = pids_now(deployment)
    if kind == "controller killed":
        return pids["controller"]
    if kind == "gateway killed":
        return pids["gateway-2"]
    below = psutil.Process(pids["torchserve-2"]).children(recursive=True)
    is_java = kind == "Java killed"
    return next(one.pid for one in below if ("java" in one.name()) is is_java)


def _lock_store(state_dir: Path) -> None:
    with closing(sqlite3.connect(state_dir / "store.sqlite3", timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(_LOCKED_S)
        other.rollback()


async def _renew_token(torchserve: Path) -> None:
    """Have TorchServe refuse the token that gateways hold, as an expired one is refused."""
    text = (torchserve / "config.properties").read_text()
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    held = json.loads((torchserve / "key_file.json").read_text())["API"]["key"]
    headers = {"Authorization": f"Bearer {held}"}
    url = f"{settings['management_address']}/token"
    async with (
        aiohttp.ClientSession(headers=headers, raise_for_status=True) as http,
        http.get(url, params={"type": "inference"}) as reply,
    ):
        await reply.read()
