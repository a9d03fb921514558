"""`python -m bench.soak`: see `make soak`."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.provenance import PROJECT_ROOT, doubts_of_commits, provenance
from bench.soak.faults import EARLY, KINDS, put_in
from bench.soak.judging import Failure, Fault
from bench.soak.report import is_met, report
from bench.soak.sampling import Sampler
from bench.soak.streams import Streams
from bench.swap.archives import MODEL, VERSIONS, Material, material
from bench.swap.deployment import Deployment, deployed
from bench.swap.full_swaps import full_swap
from bench.swap.kills import REPAIR_S, is_whole
from bench.swap.load import Load, capacity, tally
from serving.client import AsyncDetectClient

RESULT = PROJECT_ROOT / "bench" / "results" / "soak.json"
_MINUTES = 30.0
_WARM_S = 300.0
# Of a shorter run: to see whether everything runs.
_WARM_SHARE = 1 / 3
_STEADY, _STEADY_VERSION = "steady", "3.0"
_SHARE_OF_CAPACITY = 0.3
_CAMERAS, _STREAMS, _STREAM_PERIOD_S = 16, 4, 0.5
_QUIET_S = 5.0

console = Console()


@dataclass
class Soak:
    """What was done and seen.

    Attributes:
        began_s: When the load began.
        faults: That were put in.
        failures: Of the operator's own doing.
        swaps: How many.
    """

    began_s: float = field(default_factory=time.monotonic)
    faults: list[Fault] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    swaps: int = 0


def main(
    minutes: Annotated[float, typer.Option(help="Under load.", min=2)] = _MINUTES,
    folder: Annotated[Path, typer.Option(help="Scratch.")] = Path("runs/bench-soak"),
) -> None:
    """Swap, deploy and break things under steady load: nothing may grow, nothing else may fail.

    Two gateways, two TorchServes; cameras over HTTP and gRPC on the route that is swapped, others
    on streams of a route that is not. The exit status is 1 where a goal is not met.
    """
    folder = folder.absolute()
    trained = PROJECT_ROOT / "runs" / "bench-swap"
    versions = (*VERSIONS, _STEADY_VERSION)
    made = material(trained, model_store=folder / "model_store", versions=versions)
    found = asyncio.run(_soaked(folder, made, minutes))
    about = provenance(f"python -m bench.soak --minutes {minutes:g}")
    doubts = doubts_of_commits({"it": about["commit"]})
    doubts += [] if minutes >= _MINUTES else ["a short run shows no slow growth"]
    target = folder / "soak.json" if doubts else RESULT
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"about": about, "minutes": minutes, **found}, indent=2) + "\n")
    _tell(found, doubts, target)
    if not is_met(found):
        raise typer.Exit(1)


async def _soaked(folder: Path, made: Material, minutes: float) -> dict[str, Any]:
    async with deployed(folder / "deployment", made, gateways=2, backends=2) as deployment:
        await _steady_route(deployment)
        reached = await capacity(deployment.ask, made.frames, seconds=10, at_once=16)
        rate = _SHARE_OF_CAPACITY * reached
        console.print(f"capacity {reached:.0f} frames/s, load {rate:.0f}", highlight=False)
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            addresses, key = deployment.stack.addresses, deployment.stack.key
            client = await enter(AsyncDetectClient(addresses.grpc_address, key))
            soak = Soak()
            streams = await enter(_streams(client, made).running())
            load = Load(deployment.ask, made.frames, cameras=_CAMERAS, rate=rate)
            await enter(load.running())
            sampler = await enter(Sampler(deployment).running())
            await _drive(deployment, load, soak, 60 * minutes)
        failures = soak.failures + streams.failures + _of_frames(load)
        failures += _of_log(folder / "deployment" / "serve.log")
    warm_s = min(_WARM_S, 60 * minutes * _WARM_SHARE)
    found = report(sampler.samples, failures, soak.faults, began_s=soak.began_s, warm_s=warm_s)
    said = {"frames_per_s": round(rate, 1), "swaps": soak.swaps, "frames": tally(load.frames)}
    said |= {"streamed": streams.answered, "streamed_dropped": streams.dropped}
    said |= {"streams_connected_again": streams.reconnected, "warm_up_s": round(warm_s)}
    return {**said, **found}


async def _steady_route(deployment: Deployment) -> None:
    await deployment.deploy(_STEADY_VERSION)
    arm = {"name": "student", "release": f"{MODEL}-{_STEADY_VERSION}", "weight": 100}
    await deployment.call("PUT", f"/routes/{_STEADY}", {"arms": [arm], "why": "soak"})


def _streams(client: AsyncDetectClient, made: Material) -> Streams:
    period_s = _STREAM_PERIOD_S
    return Streams(client, made.frames, route=_STEADY, cameras=_STREAMS, period_s=period_s)


async def _drive(deployment: Deployment, load: Load, soak: Soak, seconds: float) -> None:
    """Swap and break things in turns until the time is over; end with everything whole."""
    ends_s = soak.began_s + seconds
    for kind in _kinds():
        fault = await put_in(deployment, kind)
        soak.faults.append(fault)
        left_s = ends_s - time.monotonic()
        console.print(
            f"{left_s:5.0f} s left: {kind}, healed after {fault.ended_s - fault.began_s:.1f} s",
            highlight=False,
        )
        await _swap(deployment, load, soak)
        if time.monotonic() >= ends_s:
            return


def _kinds() -> Iterator[str]:
    yield from EARLY
    yield from cycle(KINDS)


async def _swap(deployment: Deployment, load: Load, soak: Soak) -> None:
    """Deploy, move, drain; a refusal is a failure that nothing was made to cause."""
    began_s = time.monotonic()
    try:
        found = await full_swap(deployment, load, _QUIET_S)
    except Exception as error:  # noqa: BLE001 - whatever it is, it goes into the report
        soak.failures.append(Failure(f"swap: {error}", began_s, time.monotonic()))
        async with asyncio.timeout(REPAIR_S):
            while not await is_whole(deployment):
                await asyncio.sleep(1.0)
    else:
        soak.swaps += 1
        if found.wrong_version:
            said = "answered by a retired version"
            soak.failures += [Failure(said, began_s, began_s)] * found.wrong_version


def _of_frames(load: Load) -> list[Failure]:
    return [
        Failure(frame.failure, frame.due_s, frame.due_s + frame.latency_s)
        for frame in load.frames
        if frame.failure
    ]


def _of_log(log: Path) -> list[Failure]:
    """Return the log's lines of level error and above, on this process's clock."""
    clock_s = time.time() - time.monotonic()
    failures = []
    for line in log.read_text(errors="replace").splitlines():
        said = _line(line)
        if said.get("level") in {"error", "critical"}:
            at_s = datetime.fromisoformat(said["timestamp"]).timestamp() - clock_s
            failures.append(Failure(f"log: {said['event']}", at_s, at_s))
    return failures


def _line(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _tell(found: dict[str, Any], doubts: Sequence[str], target: Path) -> None:
    for goal in found["goals"]:
        more = ", ".join(goal.get("grew", ())) or goal.get("errors", "")
        console.print(f"{goal['verdict']:8} {goal['goal']} {more}", highlight=False)
    for doubt in doubts:
        console.print(f"not for the committed file: {doubt}", highlight=False)
    console.print(f"written: {target}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
