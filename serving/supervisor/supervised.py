"""A program as a child process: started, told what to do, started again when it ends."""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from serving.errors import ConfigurationError
from serving.restarts import Restarts

_log = structlog.get_logger(__name__)

START_TIMEOUT_S = 60.0
# Else gRPC writes a line of its own for each handshake that fails: anybody could fill the log.
_QUIET = {"GRPC_VERBOSITY": "ERROR"}


class Report(BaseModel):
    """The one line that a child writes to its output: it serves, or why it cannot.

    Attributes:
        metrics_url: Where its own metrics are; None where it has none.
        error: Why it does not serve; None when it does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics_url: str | None = None
    error: str | None = None


class Supervised:
    """One child process and those that follow it when it ends.

    The child reads its orders from its standard input, the first line before all; when the input
    ends it finishes what is under way and leaves. The system closes it however this process ends.

    Args:
        name: For people: gateway-1.
        command: Program and arguments.
        hello: Returns the first line for start number N, counted from 0.
        kept: Descriptors that it inherits under the same numbers.
        folder: Its working directory.
        start_timeout_s: How long it may take until it serves.
        ended: Called each time it has ended, with the number of the start.
        changed: Called each time it has started or ended.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        hello: Callable[[int], str],
        kept: Sequence[int] = (),
        folder: Path | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
        ended: Callable[[int], None] = lambda number: None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._command = tuple(command)
        self._hello = hello
        self._kept = tuple(kept)
        self._folder = folder
        self._start_timeout_s = start_timeout_s
        self._ended = ended
        self._changed = changed
        self._starts = 0
        self._process: asyncio.subprocess.Process | None = None
        self._report: Report | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; None while it is down."""
        return None if self._process is None else self._process.pid

    @property
    def up(self) -> bool:
        """Whether it serves."""
        return self._report is not None

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(self._starts - 1, 0)

    @property
    def metrics_url(self) -> str | None:
        """Where its own metrics are; None while it is down."""
        return None if self._report is None else self._report.metrics_url

    async def start(self) -> None:
        """Start it and wait until it serves; from then on it is started again when it ends.

        Raises:
            ConfigurationError: It ended instead, or took too long.
        """
        await self._start()
        self._watcher = asyncio.create_task(self._watch(), name=self.name)

    def say(self, order: str) -> None:
        """Write a line to its input; a child that is down hears nothing."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(f"{order}\n".encode())

    async def stop(self, within_s: float) -> None:
        """End its input, so that it finishes and leaves; what takes longer is killed.

        Being cancelled meanwhile kills it at once.

        Args:
            within_s: How long it may take, in seconds.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._leave()
        except TimeoutError:
            _log.warning("process_killed", child=self.name, patience_s=within_s)
        finally:
            await self._kill()

    async def _leave(self) -> None:
        """Let it finish, and nobody start it again."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()

    async def _watch(self) -> None:
        """Start it again whenever it ends, with growing pauses while it cannot be started."""
        clock = asyncio.get_running_loop().time
        restarts = Restarts()
        while True:
            served_s = 0.0
            if self._process is not None:
                started = clock()
                code = await self._process.wait()
                served_s = clock() - started
                _log.error("process_ended", child=self.name, pid=self._process.pid, code=code)
                self._is_down()
            await asyncio.sleep(restarts.pause_s(served_s))
            try:
                await self._start()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next try may go well
                _log.error("process_restart_failed", child=self.name, error=str(error))

    async def _start(self) -> None:
        number = self._starts
        self._starts += 1
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=self._kept,
            cwd=self._folder,
            env=_QUIET | os.environ | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True,  # a terminal's Ctrl-C is ours to handle
        )
        try:
            self.say(self._hello(number))
            self._report = await self._reported(self._process)
        except Exception:
            await self._kill()
            raise
        _log.info("process_up", child=self.name, pid=self._process.pid)
        self._changed()

    async def _reported(self, process: asyncio.subprocess.Process) -> Report:
        """Wait for the child's line.

        Raises:
            ConfigurationError: It says why it cannot serve, ended without a word, or says nothing.
        """
        if process.stdout is None:
            raise RuntimeError("the child's output is piped")
        try:
            async with asyncio.timeout(self._start_timeout_s):
                line = await process.stdout.readline()
            report = Report.model_validate_json(line)
        except TimeoutError:
            raise ConfigurationError(
                f"{self.name} did not serve within {self._start_timeout_s:g} s"
            ) from None
        except ValidationError:
            raise ConfigurationError(f"{self.name} ended while it started") from None
        if report.error is not None:
            raise ConfigurationError(report.error)
        return report

    async def _kill(self) -> None:
        """Make sure that it has ended."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._is_down()

    def _is_down(self) -> None:
        self._process = self._report = None
        self._ended(self._starts - 1)
        self._changed()
