"""A peer: started in its own environment, asked until it answers, ended with all its processes."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import aiohttp
import psutil

from bench.peers.detector import SETTINGS_VARIABLE, PeerSettings
from bench.serve.answers import read
from bench.serve.contestants import BEST, MAX_BATCH, Contestant
from bench.serve.environments import PEERS_FOLDER, peer_python
from bench.serve.material import SIDE_PX, Material
from bench.serve.processes import family
from bench.serve.running import Running, ServerFailed
from bench.serve.wires import PATHS, wire
from bench.serve.workplace import Workplace
from distill_jobs.files import write_json

_START_S = 180.0
_STOP_S = 5.0
_POLL_S = 0.25
# Ours to set, or ours to keep out.
_KEPT_OUT = ("UNDERSTUDY_", "PYTHON", "BENCH_", "VIRTUAL_ENV")


@asynccontextmanager
async def peer(
    contestant: Contestant, place: Workplace, variant: str | None
) -> AsyncIterator[Running]:
    """Run a peer for as long as the block runs.

    Args:
        contestant: Which, and how it shares the machine.
        place: What it serves.
        variant: Of our archive, where it computes with ours.

    Raises:
        PeerUnavailable: It cannot be installed here.
        ServerFailed: It does not answer.
    """
    name, folder = contestant.server, place.scratch / contestant.server
    python = await asyncio.to_thread(peer_python, name)
    port = _free_port()
    settings = folder / "settings.json"
    shutil.rmtree(folder, ignore_errors=True)
    write_json(settings, asdict(_settings(contestant, place.made, variant, port)))
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            str(python),
            str(PEERS_FOLDER / name / "run.py"),
            # Short: Ray puts Unix sockets below it.
            str(folder / "w"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(settings),
            start_new_session=True,
        )
    write_json(place.last_peer, {"pid": process.pid, "born_s": _born_s(process.pid)})
    running = Running(
        name,
        f"http://127.0.0.1:{port}{PATHS[name]}",
        lambda: {"server": family(process.pid)},
    )
    try:
        await _answers(running, place.pictures().images[0], process, log)
        yield running
    finally:
        await _end(process)


def _settings(
    contestant: Contestant, made: Material, variant: str | None, port: int
) -> PeerSettings:
    rules = made.cards["n"].post_processing
    return PeerSettings(
        onnx=str(made.onnx),
        archive=str(made.extracted["n"]) if contestant.path == BEST else None,
        variant=variant,
        thresholds=tuple(rules.operating_thresholds),
        iou_threshold=rules.iou_threshold,
        max_detections=rules.max_detections,
        side_px=SIDE_PX,
        workers=contestant.setting.workers,
        threads=contestant.setting.threads,
        spinning=contestant.setting.spinning,
        max_batch=MAX_BATCH,
        port=port,
    )


def _environment(settings: Path) -> dict[str, str]:
    kept = {key: text for key, text in os.environ.items() if not key.startswith(_KEPT_OUT)}
    return kept | {SETTINGS_VARIABLE: str(settings), "PYTHONUNBUFFERED": "1"}


async def _answers(
    running: Running, image: bytes, process: asyncio.subprocess.Process, log: Path
) -> None:
    """Wait until the server answers an image."""
    sent = wire(running.server, image)
    try:
        async with asyncio.timeout(_START_S), aiohttp.ClientSession() as http:
            while process.returncode is None:
                with contextlib.suppress(aiohttp.ClientError, ValueError):
                    async with http.post(running.url, data=sent.body, headers=sent.headers) as got:
                        body = await got.read()
                        if got.status == 200:
                            read(running.server, body)
                            return
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        pass
    raise ServerFailed(f"{running.server} does not answer; it said last:\n{_last_words(log)}")


def end_leftover(last_peer: Path) -> None:
    """End the peer of a run that was killed, if it still runs: the next would be timed beside it.

    Args:
        last_peer: Where that run wrote down which it was.
    """
    if not last_peer.exists():
        return
    said = json.loads(last_peer.read_text(encoding="utf-8"))
    # Where the number was given to another process, its session is not ours to end either.
    if _born_s(said["pid"]) in {None, said["born_s"]}:
        _kill(family(said["pid"]) - ({said["pid"]} if _born_s(said["pid"]) is None else set()))
    last_peer.unlink()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a server and everything it has started, wherever that went."""
    pids = family(process.pid)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _STOP_S)
    pids |= family(process.pid)
    _kill(pids)
    await process.wait()
    while any(_is_alive(pid) for pid in pids):
        await asyncio.sleep(_POLL_S)


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _born_s(pid: int) -> float | None:
    """Return when a process began, which tells it from another with its number."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).create_time()
    return None


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _last_words(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
