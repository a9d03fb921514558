"""Load put on a running server by a process of its own, and what the server used meanwhile."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.provenance import PROJECT_ROOT
from bench.serve.answers import Answer, read
from bench.serve.images import MIXED
from bench.serve.processes import cpu_s, memory_mib, used_ms
from bench.serve.running import Running, ServerFailed
from bench.serve.wires import CAMERA_HEADER, wire
from distill_jobs.files import write_json


@dataclass(frozen=True)
class Load:
    """What a server is asked.

    Attributes:
        connections: How many ask at once, each again as soon as it is answered.
        seconds: Counted.
        warm_up_s: Before, not counted.
        images: Kind of them: see `images.jpegs`.
    """

    connections: int
    seconds: float
    warm_up_s: float
    images: str = MIXED

    @property
    def key(self) -> str:
        """Its name within a round."""
        return f"{self.connections} x {self.images}"

    def as_json(self) -> dict[str, Any]:
        """Return it as a cell's input."""
        return asdict(self)


@dataclass(frozen=True)
class Pictures:
    """Images with what is known of them.

    Attributes:
        images: JPEGs, sent in turn.
        reference: What a server should answer, one an image; empty where nobody was asked.
    """

    images: Sequence[bytes]
    reference: Sequence[Answer] = ()


async def press(running: Running, load: Load, pictures: Pictures, folder: Path) -> dict[str, Any]:
    """Put load on a server.

    Args:
        running: The server.
        load: How much.
        pictures: What is sent; where the reference finds something, an empty answer is a failure.
        folder: Scratch for the bodies.

    Returns:
        The generator's figures, `cpu_ms` of a request and `memory_mib` (resident, proportional) of
        each group of the server's processes.
    """
    spec = await asyncio.to_thread(_write, running, load, pictures, folder)
    return await watched(running, "bench.serve.generator", spec)


async def watched(running: Running, module: str, spec: Path) -> dict[str, Any]:
    """Run a load generator, and see what the server uses while it counts.

    Args:
        running: The server.
        module: The generator: says "begin" and "end" around what it counts, then "figures".
        spec: Its only argument.

    Returns:
        Its figures, and `cpu_ms` and `memory_mib` as `press` gives them.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, str(spec)),
        cwd=PROJECT_ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await _said(process, "begin")
        before = cpu_s(running.groups())
        await _said(process, "end")
        groups = running.groups()
        used = used_ms(before, cpu_s(groups))
        figures = await _said(process, "figures")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    del figures["event"]
    answered = max(figures["answered"], 1)
    per_request = {group: round(ms / answered, 3) for group, ms in used.items()}
    return {**figures, "cpu_ms": per_request, "memory_mib": memory_mib(groups)}


async def ask_all(
    running: Running,
    images: Sequence[bytes],
    *,
    headers: dict[str, str] | None = None,
    at_once: int = 2,
) -> list[Answer]:
    """Ask about each image once.

    Args:
        running: The server.
        images: JPEGs.
        headers: Sent with each.
        at_once: How many are under way.

    Raises:
        ServerFailed: One was not answered.
    """
    gate = asyncio.Semaphore(at_once)

    async def ask(http: aiohttp.ClientSession, number: int) -> Answer:
        sent = wire(running.server, images[number])
        camera = {CAMERA_HEADER: f"camera-{number:03d}"}
        said = {**running.headers, **sent.headers, **camera, **(headers or {})}
        async with gate, http.post(running.url, data=sent.body, headers=said) as reply:
            body = await reply.read()
            if reply.status != 200:
                raise ServerFailed(f"{running.server} answered {reply.status}: {body[:300]!r}")
            return read(running.server, body)

    async with aiohttp.ClientSession() as http:
        return list(await asyncio.gather(*(ask(http, number) for number in range(len(images)))))


def _write(running: Running, load: Load, pictures: Pictures, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    requests = []
    for place, image in enumerate(pictures.images):
        sent, body = wire(running.server, image), folder / f"body-{place:03d}"
        body.write_bytes(sent.body)
        expects = bool(pictures.reference) and len(pictures.reference[place].boxes) > 0
        requests.append({"body": str(body), "headers": sent.headers, "expects": expects})
    spec = folder / "load.json"
    said = {"server": running.server, "url": running.url, "headers": running.headers}
    write_json(spec, said | load.as_json() | {"requests": requests})
    return spec


async def _said(process: asyncio.subprocess.Process, event: str) -> dict[str, Any]:
    """Read the generator's next line, which must be of that event."""
    if process.stdout is None:
        raise RuntimeError("the generator's output is piped")
    line = await process.stdout.readline()
    document: dict[str, Any] = json.loads(line) if line else {"event": "its end"}
    if document["event"] != event:
        raise ServerFailed(f"the load generator said {document}, not {event!r}")
    return document
