"""Cameras that send all the while, and what they saw of a fault."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil
from deployment import Deployment


@dataclass(frozen=True)
class Answer:
    """What a camera got.

    Attributes:
        status: HTTP's; 0: its connection broke.
        code: The error's; "" for detections.
        backend: Who answered.
        took_s: From sending to the answer.
        at: When it came, `time.monotonic`.
    """

    status: int
    code: str
    backend: str
    took_s: float
    at: float


class Cameras:
    """Several cameras, each sending its next frame when it has the answer to the one before."""

    def __init__(self, running: Deployment, image: bytes, names: list[str], pause_s: float) -> None:
        self._running = running
        self._image = image
        self._names = names
        self._pause_s = pause_s
        self._done = threading.Event()
        self.answers: list[Answer] = []

    @contextmanager
    def sending(self) -> Iterator["Cameras"]:
        """Send for as long as the block runs."""
        with ThreadPoolExecutor(len(self._names)) as pool:
            under_way = [pool.submit(self._send, name) for name in self._names]
            try:
                self.see(len(self._names))
                yield self
            finally:
                self._done.set()
            for one in under_way:
                one.result(60)

    def _send(self, name: str) -> None:
        headers = self._running.bearer | {"Content-Type": "image/jpeg"}
        url = f"{self._running.addresses.http_url}/v1/detect"
        with httpx.Client(headers=headers, params={"camera_id": name}, timeout=60) as client:
            while not self._done.wait(self._pause_s):
                began = time.monotonic()
                self.answers.append(_answer(client, url, self._image, began))

    def see(self, count: int) -> list[Answer]:
        """Wait for so many more answers and return them."""
        before = len(self.answers)
        self._running.until(lambda: len(self.answers) >= before + count, 60)
        return self.answers[before:]

    def until_all_answered(self, count: int = 20, timeout_s: float = 60) -> None:
        """Wait until so many in a row were detections."""
        self._running.until(lambda: self._last_are_good(count), timeout_s)

    def until_answered_by(self, backends: set[str], timeout_s: float = 60) -> None:
        """Wait until all of these backends answer and nothing fails."""
        self._running.until(lambda: self._last_are_by(backends), timeout_s)

    def _last_are_by(self, backends: set[str]) -> bool:
        return self._last_are_good(20) and {one.backend for one in self.answers[-20:]} == backends

    def _last_are_good(self, count: int) -> bool:
        last = self.answers[-count:]
        return len(last) == count and {one.status for one in last} == {200}

    def codes(self) -> Counter[str]:
        """Return how often each error was seen, and "ok"."""
        return Counter(one.code or "ok" for one in self.answers)


def _answer(client: httpx.Client, url: str, image: bytes, began: float) -> Answer:
    try:
        reply = client.post(url, content=image)
    except httpx.TransportError as error:
        now = time.monotonic()
        return Answer(0, type(error).__name__, "", now - began, now)
    now = time.monotonic()
    said = reply.json()
    code = said["error"]["code"] if "error" in said else ""
    backend = said.get("answeredBy", {}).get("backend", "")
    return Answer(reply.status_code, code, backend, now - began, now)


def cameras(running: Deployment, image: bytes, count: int = 4, pause_s: float = 0.1) -> Cameras:
    """Return cameras that send some 40 frames a second together at most."""
    return Cameras(running, image, [f"camera-{number}" for number in range(count)], pause_s)


def java_of(running: Deployment, backend: str) -> psutil.Process:
    """Return a TorchServe's Java."""
    guard = psutil.Process(running.pid(backend))
    return next(one for one in guard.children() if "java" in one.name())


def workers_of(running: Deployment, backend: str) -> list[psutil.Process]:
    """Return a TorchServe's workers."""
    return [one for one in java_of(running, backend).children() if "python" in one.name()]


def kill(process: psutil.Process) -> None:
    """Kill a process and wait until it is gone."""
    os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs([process], timeout=20)


def log_of(running: Deployment) -> str:
    """Return what the deployment has logged."""
    return (running.model_store.parent / "log").read_text()
