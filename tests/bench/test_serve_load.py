import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiohttp import web

from bench.serve.answers import Answer
from bench.serve.loading import Load, Pictures, press
from bench.serve.peer_servers import end_leftover
from bench.serve.processes import family, used_ms
from bench.serve.running import Running
from serving.boxes import Boxes

FOUND = {"width": 9, "height": 9, "boxes": [[0, 0, 5, 5]], "scores": [0.9], "classes": [1]}
NOTHING = {**FOUND, "boxes": [], "scores": [], "classes": []}


def test_a_process_that_came_later_counts_whole_and_one_that_went_not() -> None:
    before = {"worker": {1: 2.0, 2: 5.0}}
    after = {"worker": {1: 2.5, 3: 0.25}, "jvm": {4: 1.0}}

    assert used_ms(before, after) == {"worker": 750.0, "jvm": 1000.0}


def test_a_family_holds_the_process_itself() -> None:
    assert os.getpid() in family(os.getpid())


@pytest.fixture
def abandoned() -> Iterator[subprocess.Popen[bytes]]:
    """A server whose benchmark was killed: a shell and its child, in a session of their own."""
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"], start_new_session=True) as process:
        yield process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def told(process: subprocess.Popen[bytes], later_s: float, file: Path) -> Path:
    born_s = psutil.Process(process.pid).create_time() + later_s
    file.write_text(json.dumps({"pid": process.pid, "born_s": born_s}))
    return file


def test_the_peer_of_a_killed_run_is_ended_with_its_children(
    abandoned: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    file = told(abandoned, 0.0, tmp_path / "last-peer.json")

    end_leftover(file)

    assert abandoned.wait(10) == -signal.SIGKILL
    assert not file.exists()


def test_another_process_with_its_number_is_left_alone(
    abandoned: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    end_leftover(told(abandoned, -5.0, tmp_path / "last-peer.json"))

    assert abandoned.poll() is None


@pytest.mark.slow
async def test_the_generator_counts_wrong_answers_as_failures(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        if body == "refused":
            return web.Response(status=503)
        return web.json_response(NOTHING if body == "overlooked" else FOUND)

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    running = Running(
        "ray", f"http://127.0.0.1:{port}/", lambda: {"server": frozenset({os.getpid()})}
    )
    one = Answer(Boxes.of([0, 0, 5, 5], [1], [0.9]))
    pictures = Pictures([b"good", b"refused", b"overlooked", b"good"], [one] * 4)

    figures = await press(running, Load(2, 0.5, 0.1), pictures, tmp_path)
    await runner.cleanup()

    assert figures["answered"] > 0
    assert set(figures["failures"]) == {"http_503", "found_nothing"}
    assert figures["failed"] == sum(figures["failures"].values())
    assert abs(figures["answered"] - figures["failed"]) <= 4
    assert figures["p50_ms"] <= figures["p99_ms"]
    assert figures["cpu_ms"]["server"] > 0
    assert figures["memory_mib"]["server"]["rss"] > 1
    assert json.dumps(figures)
