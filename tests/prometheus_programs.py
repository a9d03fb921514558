"""Real Prometheus programs for tests, of Debian's packages; each in a folder of its own."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

_PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-pushgateway": "prometheus-pushgateway",
}
_START_S = 30.0


def program(name: str) -> str:
    """Return where a program is; skips the test where its package is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: `apt-get install {_PACKAGES[name]}`")
    return found


@contextmanager
def pushgateway(folder: Path) -> Iterator[str]:
    """Run a Pushgateway for as long as the block runs.

    Yields:
        Its address.
    """
    # Debian's keeps what was pushed in a file of the system's, unless told otherwise.
    with _running("prometheus-pushgateway", ("--persistence.file=",), folder) as address:
        yield address


@contextmanager
def prometheus(folder: Path, config: Path) -> Iterator[str]:
    """Run a Prometheus for as long as the block runs.

    Args:
        folder: For its data and its log.
        config: Its configuration.

    Yields:
        Its address.
    """
    options = (f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}")
    with _running("prometheus", options, folder) as address:
        yield address


@contextmanager
def _running(name: str, options: Sequence[str], folder: Path) -> Iterator[str]:
    place = f"127.0.0.1:{_free_port()}"
    command = [program(name), f"--web.listen-address={place}", *options]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        _wait(f"http://{place}/-/ready", process, folder / f"{name}.log")
        yield f"http://{place}"
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Ask again and again: neither program tells anybody that it is ready."""
    give_up_at = time.monotonic() + _START_S
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < give_up_at, log.read_text()
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
