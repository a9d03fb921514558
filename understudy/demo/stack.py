"""`understudy serve` as a child, and the admin calls that are made of it."""

import asyncio
import ctypes
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.access.admin_key import ADMIN_KEY_FILE
from serving.admin_client import AdminClient
from serving.ready_file import Addresses

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0
_PR_SET_PDEATHSIG = 1  # prctl(2)


class StackFailed(Exception):
    """The server did not start."""


@dataclass(frozen=True)
class Stack:
    """A running deployment.

    Attributes:
        addresses: Where it listens.
        key: The admin key.
    """

    addresses: Addresses
    key: str

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Make an admin call and return what it answers.

        Raises:
            AdminError: It was refused; the message is the server's.
        """
        return await asyncio.to_thread(self._call, method, path, body)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        with AdminClient(self.addresses.admin_url, self.key) as client:
            return client.call(method, path, body)


@asynccontextmanager
async def serving(
    state_dir: Path, model_store: Path, log: Path, *, options: tuple[str, ...] = ()
) -> AsyncIterator[Stack]:
    """Run `understudy serve` on free ports for as long as the block runs.

    Args:
        state_dir: Of the server: store, admin key, archives.
        model_store: Where archives are deployed from.
        log: Gets what the server prints.
        options: More of `understudy serve`.

    Yields:
        The running deployment, ready for deploys.

    Raises:
        StackFailed: The server ended, or was not ready in time; the message holds its last words.
    """
    ready_file = state_dir / "ready.json"
    places = ("--state-dir", state_dir, "--model-store", model_store, "--ready-file", ready_file)
    names = ("--http-port", "--grpc-port", "--admin-port", "--metrics-port")
    ports = tuple(word for name in names for word in (name, "0"))
    command = [sys.executable, "-m", "understudy", "serve", *map(str, places), *ports, *options]
    with log.open("wb") as errors:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            preexec_fn=_end_with_parent,
        )
    try:
        await _announced(child, log)
        addresses = Addresses.model_validate_json(ready_file.read_bytes())
        key = (state_dir / ADMIN_KEY_FILE).read_text(encoding="utf-8").strip()
        yield Stack(addresses, key)
    finally:
        await _stop(child)


def _end_with_parent() -> None:
    """Ask the kernel (Linux) to stop this process when its parent is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _announced(child: asyncio.subprocess.Process, log: Path) -> None:
    """Wait for the line that the server prints when everything listens."""
    if child.stdout is None:
        raise RuntimeError("the child's output is piped")
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            line = await child.stdout.readline()
    except TimeoutError:
        line = b""
    if not line:
        raise StackFailed(f"understudy serve did not start; it said last:\n{_last_words(log)}")


async def _stop(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-15:])
