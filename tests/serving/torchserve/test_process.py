"""TorchServe as our child: hardened, and never left behind."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from serving.errors import ConfigurationError
from serving.store.values import ReleaseKey
from serving.torchserve.config import TorchServeConfig
from serving.torchserve.process import TorchServe

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

GUARDED = ReleaseKey(model="student", version="3.0")

# A whole parent: starts TorchServe, loads a release, tells who is there, and waits to be killed.
PARENT = """
import asyncio, json, sys
from pathlib import Path
import psutil
from serving.store.values import ReleaseKey
from serving.torchserve.config import TorchServeConfig
from serving.torchserve.management import ManagementClient
from serving.torchserve.process import TorchServe

async def main(archives, folder, archive):
    config = TorchServeConfig(archives=archives, folder=folder)
    async with TorchServe(config) as server:
        async with ManagementClient(server.management_url, server.management_token) as client:
            key = ReleaseKey(model="student", version="1.0")
            await client.register(key, archive, workers=1, batch_size=1)
        pids = [one.pid for one in psutil.Process().children(recursive=True)]
        print(json.dumps({"pids": pids}), flush=True)
        await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
"""


@pytest.fixture
def process_leftovers() -> Iterator[list[psutil.Process]]:
    """Processes that must be gone; ended if a test fails to end them."""
    found: list[psutil.Process] = []
    yield found
    for one in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


async def gone(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Wait for processes to end and return those that did not."""
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, timeout=10)
    return [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


async def test_a_killed_parent_leaves_no_process_and_no_temporary_folder(
    archives: Any, tmp_path: Path, process_leftovers: list[psutil.Process]
) -> None:
    folder = tmp_path / "private"
    folder.mkdir()
    archive = await asyncio.to_thread(archives.build, folder)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(folder), str(tmp_path / "ts"), archive.name),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    async with asyncio.timeout(60):
        assert parent.stdout is not None
        async for line in parent.stdout:
            if line.startswith(b"{"):
                break
    process_leftovers += [psutil.Process(pid) for pid in json.loads(line)["pids"]]
    names = [one.name() for one in process_leftovers]
    assert names.count("java") == 1
    assert len(names) == 3, names  # the guard, Java and one worker
    assert len(list(temporary.iterdir())) == 1

    parent.send_signal(signal.SIGKILL)
    await parent.wait()

    assert await gone(process_leftovers) == []
    assert list(temporary.iterdir()) == []


async def test_a_killed_guard_takes_everything_along_and_is_started_again(
    backend: Any, archives: Any, process_leftovers: list[psutil.Process]
) -> None:
    server = backend.server
    archive = await asyncio.to_thread(archives.build, server.config.archives, version="3.0")
    await backend.management.register(GUARDED, archive.name, workers=1, batch_size=1)
    guard = psutil.Process(server.pid)
    process_leftovers += guard.children(recursive=True)
    assert len(process_leftovers) == 2
    again = asyncio.Event()
    server.on_restart(again.set)

    guard.kill()
    async with asyncio.timeout(60):
        await again.wait()

    assert await gone(process_leftovers) == []
    assert server.up.is_set()
    assert await backend.management.list() == ()


async def test_workers_inherit_no_secret_and_no_code_but_what_python_runs_first(
    backend: Any, archives: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UNDERSTUDY_KEY", "a secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = tmp_path / "private"
    folder.mkdir()
    config = TorchServeConfig(
        archives=folder, folder=tmp_path / "ts", worker_environment={"UNDERSTUDY_THREADS": "1"}
    )
    async with TorchServe(config) as server:
        (java,) = psutil.Process(server.pid).children()
        environment = java.environ()
    assert "a secret" not in environment.values()
    assert os.listdir(environment["PYTHONPATH"]) == ["sitecustomize.py"]  # noqa: PTH208, ASYNC
    assert environment["OMP_NUM_THREADS"] == environment["UNDERSTUDY_THREADS"] == "1"


async def test_it_listens_on_the_loopback_only_and_asks_for_tokens(backend: Any) -> None:
    server = backend.server
    (java,) = psutil.Process(server.pid).children()
    listening = [one.laddr.ip for one in java.net_connections("tcp") if one.status == "LISTEN"]
    assert len(listening) >= 3
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    async with aiohttp.ClientSession() as http:
        for url in (f"{server.inference_url}/ping", f"{server.management_url}/models"):
            async with http.get(url) as refused:
                assert refused.status == 400
        async with http.get(server.metrics_url) as metrics:
            assert metrics.status == 200
    assert server.config.folder.stat().st_mode & 0o077 == 0


async def test_a_server_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    config = TorchServeConfig(archives=tmp_path / "private", folder=tmp_path / "ts")
    server = TorchServe(config)
    taken = int(server.inference_url.rpartition(":")[2])
    with socket.socket() as rival:
        rival.bind(("127.0.0.1", taken))
        rival.listen()
        with pytest.raises(ConfigurationError, match=rf"port {taken} \(inference\) is taken"):
            await server.__aenter__()
    assert server.pid is None
    assert not server.up.is_set()


async def test_a_server_that_is_stopped_is_gone_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    config = TorchServeConfig(archives=tmp_path / "private", folder=tmp_path / "ts")
    async with TorchServe(config) as server:
        guard = psutil.Process(server.pid)
        (java,) = guard.children()
        temporary = java.environ()["TEMP"]
        assert os.path.isdir(temporary)  # noqa: ASYNC240, PTH112 - at once, not in a thread
    assert not guard.is_running()
    assert not java.is_running()
    assert not os.path.exists(temporary)  # noqa: ASYNC240, PTH110 - likewise
