"""A deployment on several hosts, and cameras that watch it from one of their own."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
from parts_apart import REPOSITORY, Apart, apart, until
from postgres_server import postgres_server
from small_network import NETWORK, NameServer, SmallNetwork, name_server, small_network

WORKERS = ("10.77.0.31", "10.77.0.32")
GATEWAYS = ("10.77.0.21", "10.77.0.22")
NAME = "workers.test"
_HOSTS = {
    "names": "10.77.0.2",
    "store": "10.77.0.10",
    "gateway-1": GATEWAYS[0],
    "gateway-2": GATEWAYS[1],
    "worker-1": WORKERS[0],
    "worker-2": WORKERS[1],
    "cameras": "10.77.0.40",
}


@dataclass
class SeveralHosts:
    """The deployment and its network.

    Attributes:
        network: Whose hosts may be cut off.
        names: Says who `NAME` is.
        parts: The programs.
        database: Of the store, by a way that no cut cable stops.
    """

    network: SmallNetwork
    names: NameServer
    parts: Apart
    database: str

    def admin(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.network.hosts["cameras"].call(lambda: self.parts.admin(method, path, body))

    def deploy(self, name: str) -> None:
        deployed = self.admin("POST", "/releases", {"path": f"{name}-1.0.mar"})
        assert deployed.is_success, deployed.text

    def route(self, **weights: int) -> None:
        arms = [{"name": n, "release": f"{n}-1.0", "weight": w} for n, w in weights.items()]
        asked = self.admin("PUT", "/routes/default", {"arms": arms, "why": "test"})
        assert asked.is_success, asked.text

    def backends(self) -> dict[str, bool]:
        """Return whether each worker answers the controller."""
        told = self.admin("GET", "/status").json()["backends"]
        return {one["name"]: one["answers"] for one in told}

    def placed(self, name: str) -> set[str]:
        """Return the hosts that gateways are told to ask for a release."""
        query = "SELECT backend FROM placements WHERE model = %s AND ready_workers > 0"
        with psycopg.connect(self.database) as connection:
            return {row[0] for row in connection.execute(query, [name])}

    def frames_at(self, host: str) -> float:
        """Return how many requests a worker's TorchServe has answered."""
        url = self.parts.running[f"worker-{host}"].addresses.torchserve_metrics_url
        text = self.network.hosts["cameras"].call(lambda: httpx.get(url, timeout=30).text)
        lines = [one for one in text.splitlines() if one.startswith("ts_inference_requests_total{")]
        return sum(float(one.rpartition(" ")[2]) for one in lines)


@dataclass
class Answers:
    """What the cameras were told, as it comes.

    Attributes:
        seen: Every answer, in its order.
        sent: How many frames each camera has sent; empty while they watch.
    """

    process: "subprocess.Popen[str]"
    seen: list[dict[str, Any]] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)

    def follow(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            if "sent" in told:
                self.sent = told["sent"]
            else:
                self.seen.append(told)

    def more(self, count: int) -> None:
        """Wait for so many more."""
        wanted = len(self.seen) + count
        until(lambda: len(self.seen) >= wanted, timeout_s=120)

    @property
    def bad(self) -> list[dict[str, Any]]:
        """Those that are not detections."""
        return [one for one in self.seen if one["error"]]

    def check_complete(self) -> None:
        """Every frame of every camera has one answer, in order, and it is a detection."""
        assert not self.bad, self.bad[:3]
        assert self.sent
        for camera, count in self.sent.items():
            assert [one["frame"] for one in self.seen if one["camera"] == camera] == list(
                range(count)
            )


@contextmanager
def cameras(
    deployment: SeveralHosts, image: bytes, count: int = 4, frames_per_s: float = 5
) -> Iterator[Answers]:
    """Have cameras stream for as long as the block runs; then wait for their last answers."""
    picture = deployment.parts.folder / "picture.jpg"
    picture.write_bytes(image)
    ports = [one for name, one in deployment.parts.running.items() if name.startswith("gateway")]
    addresses = ",".join(one.addresses.grpc_address for one in ports)
    program = Path(__file__).with_name("live_cameras.py")
    given = [addresses, deployment.parts.key, str(picture), str(count), str(frames_per_s)]
    process = subprocess.Popen(
        [*deployment.network.hosts["cameras"].inside, sys.executable, str(program), *given],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    answers = Answers(process)
    following = threading.Thread(target=answers.follow)
    following.start()
    try:
        yield answers
        process.stdin.close()
        process.wait(120)
    finally:
        process.kill()
        following.join(30)
        process.stdout.close()
        process.wait(30)


@contextmanager
def several_hosts(folder: Path, archives: Any) -> Iterator[SeveralHosts]:
    """Start everything; one worker has the name `NAME`, the other has none yet."""
    with ExitStack() as stack:
        network = stack.enter_context(small_network(folder))
        for name, address in _HOSTS.items():
            network.add(name, address, _HOSTS["names"])
        names = stack.enter_context(name_server(network.hosts["names"], folder / "names"))
        names.answer(NAME, WORKERS[0])
        host = network.hosts["store"]
        postgres = stack.enter_context(
            postgres_server(host.inside, listen=host.address, trusted=NETWORK)
        )
        database = postgres.new_database().partition("@/")[2].partition("?")[0]
        url = f"postgresql+psycopg://postgres@{host.address}/{database}"
        aside = f"host={postgres.folder} user=postgres dbname={database}"
        parts = stack.enter_context(apart(folder, archives, url))
        parts.workers = f"dns:{NAME}"
        parts.inside = partial(_inside, network)
        for address in WORKERS:
            parts.start_worker(address)
        parts.start("controller", UNDERSTUDY_HOST=host.address)
        for name in ("gateway-1", "gateway-2"):
            parts.start("gateway", name, UNDERSTUDY_HOST=_HOSTS[name])
        yield SeveralHosts(network, names, parts, aside)


def _inside(network: SmallNetwork, part: str) -> list[str]:
    """Return the command that runs a part's on the host it belongs to."""
    hosts = {f"worker-{one.address}": one for one in network.hosts.values()} | network.hosts
    return hosts.get(part, network.hosts["store"]).inside
