"""TorchServe as a child process: started, watched, started again, and never left behind."""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import structlog

from serving.errors import BackendUnavailable, ConfigurationError
from serving.restarts import Restarts
from serving.torchserve import tokens
from serving.torchserve.config import (
    Listen,
    Ports,
    TorchServeConfig,
    command,
    decline_telemetry,
    environment,
    write_files,
)
from serving.torchserve.tokens import Credential, NoToken, Token

_log = structlog.get_logger(__name__)

_HERE = "127.0.0.1"
_GUARD = Path(__file__).with_name("guard.py")
_PING_INTERVAL_S = 0.05


class TorchServe:
    """One TorchServe with its own ports, folders and tokens; use as an async context manager.

    It dies with this process, however this process dies. When it dies alone it is started again,
    empty, on the same ports; `on_restart` tells who has to fill it.

    Args:
        config: What the deployment has chosen.
    """

    def __init__(self, config: TorchServeConfig) -> None:
        self.config = config
        self._ports = _ports(config.listen)
        self._guard: asyncio.subprocess.Process | None = None
        self._lifeline = -1
        self._watcher: asyncio.Task[None] | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._up = asyncio.Event()

    @property
    def inference_url(self) -> str:
        """Where frames go."""
        listen = self.config.listen
        return f"http://{_near(listen.inference_host if listen else _HERE)}:{self.inference_port}"

    @property
    def inference_port(self) -> int:
        """Of `inference_url`; the same at every start."""
        return self._ports.inference

    @property
    def management_url(self) -> str:
        """Where models are registered."""
        return f"http://127.0.0.1:{self._ports.management}"

    @property
    def metrics_url(self) -> str:
        """What Prometheus reads; it asks for no token."""
        listen = self.config.listen
        return f"http://{_near(listen.host if listen else _HERE)}:{self._ports.metrics}/metrics"

    @property
    def inference_token(self) -> Credential:
        """A new reader of the token for `inference_url`."""
        if self.config.listen is not None:
            return NoToken()
        return Token(self.config.folder / tokens.FILE_NAME, "inference")

    @property
    def management_token(self) -> Credential:
        """A new reader of the token for `management_url`."""
        if self.config.listen is not None:
            return NoToken()
        return Token(self.config.folder / tokens.FILE_NAME, "management")

    @property
    def pid(self) -> int | None:
        """Process id of the guard; TorchServe and its workers are below it."""
        return None if self._guard is None else self._guard.pid

    @property
    def up(self) -> asyncio.Event:
        """Set while it answers."""
        return self._up

    def on_restart(self, callback: Callable[[], None]) -> None:
        """Call back each time it answers again, empty, after it had died."""
        self._callbacks.append(callback)

    async def __aenter__(self) -> Self:
        """Start it.

        Raises:
            ConfigurationError: It cannot start: the message holds what it said last.
        """
        self.config.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        self._watcher = asyncio.create_task(self._watch(), name="torchserve")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it; whatever it was still doing is lost, so drain before."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self._stop()

    async def _start(self) -> None:
        _must_be_free(self._ports, self.config.listen)
        # A worker's socket lies in it, and the path of a Unix socket may have no more than 107
        # characters: the state folder's may be too long. The guard removes it.
        temporary = Path(tempfile.mkdtemp(prefix="understudy-"))
        decline_telemetry(temporary)  # it is their home
        folder = self.config.folder
        (folder / tokens.FILE_NAME).unlink(missing_ok=True)
        write_files(self.config, self._ports)
        program = [sys.executable, "-I", "-S", str(_GUARD), str(temporary)]
        # The read end becomes the guard's input, the write end closes when this process ends.
        input_end, self._lifeline = os.pipe()
        try:
            with (folder / "console.log").open("ab") as console:
                self._guard = await asyncio.create_subprocess_exec(
                    *program,
                    *command(self.config, temporary),
                    stdin=input_end,
                    stdout=console,
                    stderr=console,
                    cwd=folder,
                    env=environment(self.config, temporary),
                    start_new_session=True,  # a terminal's Ctrl-C is ours to handle, after a drain
                )
        finally:
            os.close(input_end)
        await self._answers(self._guard)
        self._up.set()
        _log.info("torchserve_up", inference=self.inference_url, pid=self._guard.pid)

    async def _answers(self, guard: asyncio.subprocess.Process) -> None:
        """Wait until the server answers a ping, or has ended, or has had its time."""
        ended = asyncio.create_task(guard.wait())
        try:
            async with (
                asyncio.timeout(self.config.start_timeout_s),
                aiohttp.ClientSession() as http,
            ):
                while not ended.done() and not await self._ping(http):
                    await asyncio.wait([ended], timeout=_PING_INTERVAL_S)
        except TimeoutError:
            raise ConfigurationError(
                f"TorchServe did not answer within {self.config.start_timeout_s:g} s\n"
                + self._last_words()
            ) from None
        finally:
            ended.cancel()
        if guard.returncode is not None:
            raise ConfigurationError("TorchServe ended while it started\n" + self._last_words())

    async def _ping(self, http: aiohttp.ClientSession) -> bool:
        try:
            headers = self.inference_token.header()
            async with http.get(f"{self.inference_url}/ping", headers=headers) as reply:
                return reply.status == 200
        except (aiohttp.ClientError, BackendUnavailable):
            return False

    def _last_words(self) -> str:
        """Return the end of what the server printed."""
        lines: list[str] = []
        for name in ("torchserve.log", "console.log"):
            with contextlib.suppress(OSError):
                text = (self.config.folder / name).read_text(errors="replace")
                lines += text.splitlines()[-10:]
        return "\n".join(lines)

    async def _watch(self) -> None:
        """Start it again whenever it ends, with growing pauses while it cannot be started."""
        clock = asyncio.get_running_loop().time
        restarts = Restarts()
        while True:
            served_s = 0.0
            if self._guard is not None:
                started = clock()
                code = await self._guard.wait()
                served_s = clock() - started
                self._up.clear()
                _log.error("torchserve_ended", code=code, console=self._last_words())
            await asyncio.sleep(restarts.pause_s(served_s))
            await self._stop()
            await self._start_again()

    async def _start_again(self) -> None:
        try:
            await self._start()
        except (ConfigurationError, OSError) as error:
            _log.error("torchserve_restart_failed", error=str(error))
            await self._stop()  # it may hang rather than have ended
            return
        for callback in self._callbacks:
            callback()

    async def _stop(self) -> None:
        """Cut the lifeline: the guard kills everything and ends."""
        self._up.clear()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self._guard is not None:
            await self._guard.wait()
            self._guard = None


def _near(host: str) -> str:
    """Return a listener's address from this machine."""
    return _HERE if host == "0.0.0.0" else host  # noqa: S104 - compared, not bound


def _must_be_free(ports: Ports, listen: Listen | None) -> None:
    """Check that nobody listens on a port: TorchServe would hang and not end.

    Raises:
        ConfigurationError: Somebody does.
    """
    hosts = {} if listen is None else {"inference": listen.inference_host, "metrics": listen.host}
    for name, port in asdict(ports).items():
        host = hosts.get(name, _HERE)
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past TIME_WAIT, as Java
            try:
                one.bind((host, port))
            except OSError as error:
                raise ConfigurationError(
                    f"TorchServe's port {port} ({name}) is taken by another program, or {host} is "
                    "no address of this machine"
                ) from error


def _ports(listen: Listen | None) -> Ports:
    """Return the ports that were chosen, and others that are free."""
    free = _free_ports()
    if listen is None:
        return free
    return replace(
        free, inference=listen.inference or free.inference, metrics=listen.metrics or free.metrics
    )


def _free_ports() -> Ports:
    """Return ports that nobody listens on now; another program may still be faster."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(5)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return Ports(*(one.getsockname()[1] for one in sockets))
