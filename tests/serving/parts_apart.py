"""The parts of one deployment as programs of their own, each on an address of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from serving.ready_file import Addresses

REPOSITORY = Path(__file__).parents[2]
SECRET = "0123456789abcdef" * 4
# All of 127.0.0.0/8 is this machine's: hosts that share no port.
WORKERS = ("127.0.0.2", "127.0.0.3")


@dataclass
class Program:
    """One `understudy serve PART`."""

    process: "subprocess.Popen[str]"
    addresses: Addresses

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@dataclass
class Apart:
    """A deployment in parts; each is started when a test wants it.

    Attributes:
        folder: A folder a part below it; the model store is `folder`/model_store.
        archives: Builds archives.
        store_url: What all but the workers share.
        ports: Of every worker: its door's, its TorchServe's.
        workers: What UNDERSTUDY_WORKERS says.
        inside: Returns the command that runs a part's on its host, by the part's name.
    """

    folder: Path
    archives: Any
    store_url: str
    ports: tuple[int, int]
    stack: ExitStack
    workers: str = ",".join(WORKERS)
    inside: Callable[[str], list[str]] = lambda _name: []
    running: dict[str, Program] = field(default_factory=dict)

    @property
    def model_store(self) -> Path:
        return self.folder / "model_store"

    @property
    def key(self) -> str:
        return (self.folder / "controller" / "admin.key").read_text().strip()

    @property
    def worker_key_file(self) -> Path:
        return self.folder / "worker-key"

    def start(self, part: str, name: str | None = None, **environment: str) -> Program:
        """Start a part and wait until it serves."""
        name = name or part
        ready = self.folder / f"{name}.json"
        given = self._environment(part, name) | {"UNDERSTUDY_READY_FILE": str(ready)} | environment
        with (self.folder / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                [*self.inside(name), sys.executable, "-m", "serving.commands.serve", part],
                cwd=REPOSITORY,
                env=os.environ | given,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.stack.callback(_ended, process)
        assert process.stdout is not None
        assert process.stdout.readline(), (self.folder / f"{name}.log").read_text()
        program = Program(process, Addresses.model_validate_json(ready.read_text()))
        self.running[name] = program
        return program

    def start_worker(self, host: str, **environment: str) -> Program:
        return self.start("worker", f"worker-{host}", UNDERSTUDY_HOST=host, **environment)

    def _environment(self, part: str, name: str) -> dict[str, str]:
        door, inference = self.ports
        given = {
            "UNDERSTUDY_HOME": str(self.folder / name),
            "UNDERSTUDY_STATE_DIR": str(self.folder / name),
            "UNDERSTUDY_MODEL_STORE": str(self.model_store),
            "UNDERSTUDY_TRUSTED_KEYS": str(self.archives.public_key),
            "UNDERSTUDY_WORKER_PORT": str(door),
            "UNDERSTUDY_INFERENCE_PORT": str(inference),
        }
        given |= {f"UNDERSTUDY_{one}_PORT": "0" for one in ("HTTP", "GRPC", "ADMIN", "METRICS")}
        if part != "worker":
            given |= {
                "UNDERSTUDY_STORE_URL": self.store_url,
                "UNDERSTUDY_WORKERS": self.workers,
            }
        if part != "gateway":
            given["UNDERSTUDY_WORKER_KEY_FILE"] = str(self.worker_key_file)
        return given

    def admin(self, method: str, path: str, body: Any = None) -> httpx.Response:
        url = self.running["controller"].addresses.admin_url
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.request(
            method, f"{url}/admin/v1{path}", json=body, headers=headers, timeout=60
        )

    def deploy(self, name: str) -> httpx.Response:
        return self.admin("POST", "/releases", {"path": f"{name}-1.0.mar"})

    def detect(self, image: bytes) -> httpx.Response:
        return httpx.post(
            f"{self.running['gateway'].addresses.http_url}/v1/detect",
            params={"camera_id": "c-1"},
            content=image,
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "image/jpeg"},
            timeout=60,
        )


@contextmanager
def apart(folder: Path, archives: Any, store_url: str) -> Iterator[Apart]:
    """Nothing runs yet; what was started ends with the block."""
    with ExitStack() as stack:
        one = Apart(folder, archives, store_url, (_free_port(), _free_port()), stack)
        one.model_store.mkdir()
        one.worker_key_file.write_text(SECRET + "\n")
        yield one


def until(reached: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Ask again and again: what is awaited happens in another process."""
    give_up_at = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < give_up_at, "not reached in time"
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((WORKERS[0], 0))
        return int(one.getsockname()[1])


def _ended(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate(timeout=60)
