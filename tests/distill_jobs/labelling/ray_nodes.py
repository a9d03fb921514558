"""A Ray cluster of two nodes in a network of its own: Ray listens on every address there is."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

# All of 127.0.0.0/8 is the machine's own.
HEAD, OTHER = "127.0.0.2", "127.0.0.3"
_PORT = 6379  # nobody else is in that network
_HOLD = "ip link set lo up && echo ready && exec sleep infinity"
_STORE_BYTES = 100 * 1024 * 1024
ENVIRONMENT = os.environ | {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "OMP_NUM_THREADS": "1",
}
_RAY = str(Path(sys.executable).with_name("ray"))


@dataclass
class RayNodes:
    """What was started.

    Attributes:
        address: Of the head.
        inside: The command that runs another in their network.
        pids: Of each node's processes, by its address.
    """

    address: str
    inside: list[str]
    pids: dict[str, list[int]] = field(default_factory=dict)

    def start(self, address: str, *options: str) -> None:
        """Start a node with one processor."""
        before = _ray_pids()
        command = [
            *self.inside,
            _RAY,
            "start",
            f"--node-ip-address={address}",
            "--num-cpus=1",
            *options,
        ]
        command += [f"--object-store-memory={_STORE_BYTES}", "--disable-usage-stats"]
        done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        self.pids[address] = sorted(_ray_pids() - before)

    def kill(self, address: str) -> None:
        """End a node as a machine ends that loses its power: all its processes at once."""
        nodes = [one for one in map(_process, self.pids.pop(address)) if one is not None]
        below = [child for one in nodes for child in one.children(recursive=True)]
        for one in [*nodes, *below]:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs([*nodes, *below], timeout=30)


def why_not() -> str:
    """Return why no such cluster can be made here; "" where one can."""
    if shutil.which("ip") is None:
        return "the package iproute2 is not installed"
    tried = ["unshare", "--net", "ip", "link", "set", "lo", "up"]
    made = subprocess.run(tried, capture_output=True, text=True, check=False)
    return f"no network of its own can be made: {made.stderr.strip()}" if made.returncode else ""


@contextmanager
def ray_nodes() -> Iterator[RayNodes]:
    """Start a head and another node; what is left of them ends with the block."""
    # Sockets lie in it, whose paths are short.
    folder = Path(tempfile.mkdtemp(prefix="understudy-ray-"))
    holder = subprocess.Popen(
        ["setpriv", "--pdeathsig=KILL", "unshare", "--net", "sh", "-c", _HOLD],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    inside = ["nsenter", f"--target={holder.pid}", "--net"]
    nodes = RayNodes(f"{HEAD}:{_PORT}", inside)
    try:
        head = ["--head", f"--port={_PORT}", "--include-dashboard=false", f"--temp-dir={folder}"]
        nodes.start(HEAD, *head)
        nodes.start(OTHER, f"--address={nodes.address}")
        yield nodes
    finally:
        for address in list(nodes.pids):
            nodes.kill(address)
        holder.kill()
        holder.communicate(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _ray_pids() -> set[int]:
    """Return the processes of Ray that belong to no other one of them."""
    found = (one.info for one in psutil.process_iter(["pid", "cmdline"]))
    return {one["pid"] for one in found if any("/ray/" in part for part in one["cmdline"] or ())}


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None
