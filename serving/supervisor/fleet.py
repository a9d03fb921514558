"""All processes of a deployment: opened together, closed in the order that loses no request."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from serving.supervisor.processes import ProcessInfo
from serving.supervisor.superior import WAKE
from serving.supervisor.supervised import Supervised
from serving.torchserve.process import TorchServe

# After its requests: last windows, its row, its connections.
_CLOSING_S = 5.0
# An operator's call that is under way gets at least this.
_CONTROLLER_S = 5.0


class Fleet:
    """Starts everything, and stops it again; an async context manager.

    Args:
        backends: By their names; none where they run on other machines.
        controller: The one; None where it runs on another machine.
        gateways: None where they do.
        stop_timeout_s: How long requests under way may take once it stops.
        changed: Called each time a TorchServe was started again.
    """

    def __init__(
        self,
        *,
        backends: Mapping[str, TorchServe],
        controller: Supervised | None,
        gateways: Sequence[Supervised],
        stop_timeout_s: float,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._backends = dict(backends)
        self._controller = controller
        self._gateways = tuple(gateways)
        self._stop_timeout_s = stop_timeout_s
        self._changed = changed
        self._restarts = dict.fromkeys(self._backends, 0)
        for name, backend in self._backends.items():
            backend.on_restart(partial(self._refill, name))

    @property
    def children(self) -> tuple[Supervised, ...]:
        """The controller and the gateways."""
        return (*self._controllers, *self._gateways)

    @property
    def _controllers(self) -> tuple[Supervised, ...]:
        return () if self._controller is None else (self._controller,)

    def processes(self) -> dict[str, ProcessInfo]:
        """Return what runs now."""
        return {
            name: ProcessInfo(pid=one.pid, up=one.up.is_set(), restarts=self._restarts[name])
            for name, one in self._backends.items()
        } | {
            one.name: ProcessInfo(pid=one.pid, up=one.up, restarts=one.restarts)
            for one in self.children
        }

    def metrics_urls(self) -> dict[str, str]:
        """Return where the children's own metrics are, of those that are up."""
        return {one.name: one.metrics_url for one in self.children if one.metrics_url is not None}

    def torchserve_metrics_urls(self) -> dict[str, str]:
        """Return where each TorchServe's metrics are, by its name."""
        return {name: one.metrics_url for name, one in self._backends.items()}

    async def __aenter__(self) -> Self:
        """Start everything; returns when everything serves.

        Raises:
            ConfigurationError: Something does not start; nothing is left running.
        """
        try:
            await _all(one.__aenter__() for one in self._backends.values())
            await _all(one.start() for one in self.children)
        except BaseException:
            await self._stop(0.0)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Answer what is under way; then nobody asks the controller, then nobody TorchServe."""
        await self._stop(self._stop_timeout_s)

    async def _stop(self, patience_s: float) -> None:
        clock = asyncio.get_running_loop().time
        ends_at = clock() + patience_s
        try:
            await _all(one.stop(patience_s + _CLOSING_S) for one in self._gateways)
        finally:
            try:
                left_s = max(_CONTROLLER_S, ends_at - clock())
                controller_s = min(patience_s, left_s) + _CLOSING_S
                await _all(one.stop(controller_s) for one in self._controllers)
            finally:
                backends = self._backends.values()
                await _all(one.__aexit__(None, None, None) for one in backends)

    def _refill(self, name: str) -> None:
        self._restarts[name] += 1
        for one in self._controllers:
            one.say(f"{WAKE} {name}")
        self._changed()


async def _all(work: Iterable[Awaitable[None] | Awaitable[object]]) -> None:
    """Await all together, to the end of the last; then raise the first error."""
    done = await asyncio.gather(*work, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
