"""Trivial programs as children: each says one line, then lives until its input ends."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from serving.errors import ConfigurationError
from serving.supervisor.supervised import Supervised

OBEDIENT = """
import sys
hello = sys.stdin.readline().strip()
open(sys.argv[1], "a").write(hello + "\\n")
print('{"metrics_url": "http://%s"}' % hello, flush=True)
for line in sys.stdin:
    open(sys.argv[1], "a").write(line)
open(sys.argv[1], "a").write("finished\\n")
"""


class Watched:
    """A child and what its owner hears of it."""

    def __init__(self, program: str, diary: Path, **options: Any) -> None:
        self.diary = diary
        self.ended: list[int] = []
        self.changed = asyncio.Event()
        self.child = Supervised(
            "child-1",
            [sys.executable, "-c", program, str(diary)],
            hello=lambda number: f"start-{number}",
            ended=self.ended.append,
            changed=self.changed.set,
            **options,
        )

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not reached():
                self.changed.clear()
                await self.changed.wait()


@pytest_asyncio.fixture
async def obedient(tmp_path: Path) -> AsyncIterator[Watched]:
    watched = Watched(OBEDIENT, tmp_path / "diary")
    await watched.child.start()
    yield watched
    await watched.child.stop(10)


async def test_a_child_serves_when_it_says_so_and_leaves_when_its_input_ends(
    obedient: Watched,
) -> None:
    child, pid = obedient.child, obedient.child.pid
    obedient.child.say("wake")

    assert child.up
    assert child.metrics_url == "http://start-0"
    await child.stop(10)

    assert obedient.diary.read_text() == "start-0\nwake\nfinished\n"
    assert (child.up, child.pid, obedient.ended) == (False, None, [0])
    assert pid is not None
    assert not psutil.pid_exists(pid)


async def test_a_killed_child_is_started_again_with_a_number_of_its_own(obedient: Watched) -> None:
    child, first = obedient.child, obedient.child.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    await obedient.until(lambda: child.restarts == 1 and child.up)

    assert child.pid != first
    assert child.metrics_url == "http://start-1"
    assert obedient.ended == [0]


async def test_its_last_word_is_the_error_of_the_start(tmp_path: Path) -> None:
    says = """print('{"error": "http_port: no such place"}')"""

    with pytest.raises(ConfigurationError, match="http_port: no such place"):
        await Watched(says, tmp_path / "diary").child.start()


async def test_an_end_without_a_word_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="child-1 ended while it started"):
        await Watched("raise SystemExit(3)", tmp_path / "diary").child.start()


async def test_one_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    silent = Watched("import time; time.sleep(60)", tmp_path / "diary", start_timeout_s=0.2)

    with pytest.raises(ConfigurationError, match="child-1 did not serve within"):
        await silent.child.start()

    assert silent.ended == [0]


async def test_one_that_does_not_leave_is_killed(tmp_path: Path) -> None:
    deaf = "import time; print('{}', flush=True); time.sleep(60)"
    watched = Watched(deaf, tmp_path / "diary")
    await watched.child.start()
    pid = watched.child.pid

    await watched.child.stop(0.05)

    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert watched.ended == [0]


async def test_a_hurried_stop_kills_at_once(tmp_path: Path) -> None:
    deaf = "import time; print('{}', flush=True); time.sleep(60)"
    watched = Watched(deaf, tmp_path / "diary")
    await watched.child.start()
    pid = watched.child.pid
    stopping = asyncio.create_task(watched.child.stop(60))
    await asyncio.sleep(0)

    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)

    assert pid is not None
    assert not psutil.pid_exists(pid)


async def test_a_port_stays_held_while_the_child_that_serves_it_is_down(tmp_path: Path) -> None:
    program = """
import os, socket, sys
sys.stdin.readline()
listener = socket.socket(fileno=int(os.environ["LISTENER"]))
print("{}", flush=True)
while True:
    connection, _ = listener.accept()
    connection.send(str(os.getpid()).encode())
    connection.close()
"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = listener.getsockname()
        program = program.replace('os.environ["LISTENER"]', f"'{listener.fileno()}'")
        watched = Watched(program, tmp_path / "diary", kept=[listener.fileno()])
        child = watched.child
        await child.start()
        first = child.pid
        assert first is not None

        os.kill(first, signal.SIGKILL)
        await watched.until(lambda: not child.up)
        # Nobody accepts now: the connection waits for the next child.
        reader, writer = await asyncio.open_connection(*place)
        answer = await reader.read()

        writer.close()
        await writer.wait_closed()
        assert int(answer) != first
        await watched.until(lambda: child.up)
        assert int(answer) == child.pid
        await child.stop(0.05)
