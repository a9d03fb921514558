"""A whole deployment, started as an operator starts it: `understudy serve` in its own process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from serving.ready_file import Addresses
from serving.supervisor.processes import ProcessInfo, read_processes

REPOSITORY = Path(__file__).parents[2]
START_S = 60.0


@dataclass(frozen=True)
class Deployment:
    """A running `understudy serve`.

    Attributes:
        process: Of the server.
        addresses: Where it listens.
        key: Its admin key.
        model_store: Where it takes archives from.
        build: Puts an archive into the model store; see `ArchiveBuilder.build`.
    """

    process: "subprocess.Popen[str]"
    addresses: Addresses
    key: str
    model_store: Path
    build: Callable[..., Path]

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the admin API."""
        reply = httpx.request(
            method,
            f"{self.addresses.admin_url}/admin/v1{path}",
            json=body,
            headers=self.bearer,
            timeout=60,
        )
        assert reply.is_success, reply.text
        return reply.json()

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def key_of(self, scope: str, name: str = "test") -> tuple[str, str]:
        """Make a key: its id and its text."""
        made = self.admin("POST", "/keys", {"name": name, "scope": scope})
        return made["id"], made["key"]

    def deploy(self, name: str, version: str = "1.0", *, batch_size: int = 8, **built: Any) -> None:
        """Build and load an archive."""
        if not (self.model_store / f"{name}-{version}.mar").exists():
            self.build(self.model_store, name, version, **built)
        body = {"path": f"{name}-{version}.mar", "batch_size": batch_size}
        self.admin("POST", "/releases", body)

    def set_route(self, name: str = "default", timeout_s: float = 10.0, **weights: float) -> int:
        """Give a route arms called as their model, and wait until the gateway has applied it."""
        arms = [
            {"name": model, "release": f"{model}-1.0", "weight": weight}
            for model, weight in weights.items()
        ]
        body = {"arms": arms, "why": "test", "timeout_s": timeout_s}
        revision = int(self.admin("PUT", f"/routes/{name}", body)["revision"])
        self.until(lambda: self._applied(revision))
        return revision

    def _applied(self, revision: int) -> bool:
        gateways = self.admin("GET", "/status")["gateways"]
        return bool(gateways) and all(one["revision"] >= revision for one in gateways)

    def detect(self, image: bytes, **parameters: Any) -> httpx.Response:
        """Send one frame over HTTP."""
        return httpx.post(
            f"{self.addresses.http_url}/v1/detect",
            params=parameters,
            content=image,
            headers=self.bearer | {"Content-Type": "image/jpeg"},
            timeout=60,
        )

    def get(self, path: str) -> httpx.Response:
        """Get something that needs no key."""
        return httpx.get(f"{self.addresses.http_url}{path}", timeout=10)

    def processes(self) -> dict[str, ProcessInfo]:
        """What runs below the supervisor now."""
        return read_processes(self.addresses.admin_key_file.parent)

    def pid(self, name: str) -> int:
        """The process id of one that is up now; waits until it is."""
        self.until(lambda: self.processes()[name].up)
        pid = self.processes()[name].pid
        assert pid is not None
        return pid

    def metrics(self) -> str:
        """Every process's metrics."""
        return httpx.get(self.addresses.metrics_url, timeout=10).text

    def until(self, reached: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Ask again and again: what is awaited happens in another process."""
        give_up_at = time.monotonic() + timeout_s
        while not reached():
            assert time.monotonic() < give_up_at, "not reached in time"
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.02)

    def stop(self, timeout_s: float = 30.0) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)


@contextmanager
def deployed(folder: Path, archives: Any, **environment: str) -> Iterator[Deployment]:
    """Run `understudy serve` on `folder`; a second time on the same folder takes up the first."""
    ready, model_store = folder / "ready.json", folder / "model_store"
    model_store.mkdir(parents=True, exist_ok=True)
    ready.unlink(missing_ok=True)
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.commands.serve", "--ready-file", str(ready)],
            cwd=REPOSITORY,
            env=os.environ | _environment(folder, archives) | environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            addresses = _announced(process, ready, folder / "log")
            key = addresses.admin_key_file.read_text().strip()
            yield Deployment(process, addresses, key, model_store, archives.build)
        finally:
            process.terminate()
            process.communicate(timeout=60)


def _environment(folder: Path, archives: Any) -> dict[str, str]:
    return {
        "UNDERSTUDY_HOME": str(folder / "home"),
        "UNDERSTUDY_STATE_DIR": str(folder / "state"),
        "UNDERSTUDY_MODEL_STORE": str(folder / "model_store"),
        "UNDERSTUDY_TRUSTED_KEYS": str(archives.public_key),
        "UNDERSTUDY_HTTP_PORT": "0",
        "UNDERSTUDY_GRPC_PORT": "0",
        "UNDERSTUDY_ADMIN_PORT": "0",
        "UNDERSTUDY_METRICS_PORT": "0",
    }


def _announced(process: "subprocess.Popen[str]", ready: Path, log: Path) -> Addresses:
    """Wait for the server's own word on its output, then read the file it names it in."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("key "):
            return Addresses.model_validate_json(ready.read_text())
    raise AssertionError(f"the server did not start:\n{log.read_text()}")
