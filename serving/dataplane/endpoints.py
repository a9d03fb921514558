"""Where a release can be asked: its backends, how busy each is and whether it answers."""

import time
from collections.abc import Callable, Collection, Mapping
from itertools import count
from typing import Protocol

from serving.dataplane.breaker import Breaker, BreakerState, Pass
from serving.dataplane.route_table import RouteTable
from serving.store.values import ReleaseKey
from serving.torchserve.inference import WorkerReply


class Predictor(Protocol):
    """What is asked of a backend; `serving.torchserve.inference.InferenceClient` is one."""

    async def predict(
        self,
        key: ReleaseKey,
        image: bytes,
        *,
        min_score: float | None = None,
        max_detections: int | None = None,
        timeout_s: float,
        deadline_unix_ms: int | None = None,
    ) -> WorkerReply:
        """Have one frame answered."""


class Endpoint:
    """One release on one backend.

    Args:
        backend: Its name.
        client: Speaks to it.
        key: The release.
        changed: Called with the breaker's state each time that changes.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        backend: str,
        client: Predictor,
        key: ReleaseKey,
        *,
        changed: Callable[["Endpoint", BreakerState], None],
        clock: Callable[[], float],
    ) -> None:
        self.backend = backend
        self.client = client
        self.key = key
        self.outstanding = 0
        self.last_used = 0
        self.ready_workers = 0
        self._breaker = Breaker(clock)
        self._changed = changed
        self._told = BreakerState.CLOSED

    @property
    def state(self) -> BreakerState:
        """Where the breaker stands."""
        return self._breaker.state

    def is_up(self) -> bool:
        """Whether a request may be sent now."""
        return self.ready_workers > 0 and self._breaker.lets_through()

    def is_doubted(self) -> bool:
        """Whether the next request is to find out if the backend answers again."""
        return self._breaker.state is not BreakerState.CLOSED

    def retry_after_s(self) -> float:
        """Return when a request may be sent again, in seconds."""
        return self._breaker.retry_after_s()

    def load(self) -> tuple[float, int]:
        """What to compare: requests under way for each worker, then who was asked longest ago."""
        return self.outstanding / max(1, self.ready_workers), self.last_used

    def place(self, ready_workers: int) -> None:
        """Take what the controller saw.

        Workers that came up end what held the breaker open; where none are, nothing is broken.
        """
        if ready_workers > self.ready_workers or ready_workers == 0:
            self._breaker.answered()
        self.ready_workers = ready_workers
        self._tell()

    def sent(self) -> Pass:
        """Count a request as under way."""
        self.outstanding += 1
        passed = self._breaker.sent()
        self._tell()
        return passed

    def came_back(self) -> None:
        """Count one less under way."""
        self.outstanding -= 1

    def answered(self) -> None:
        """Take an answer for a sign of health."""
        self._breaker.answered()
        self._tell()

    def failed(self, passed: Pass, weight: float) -> None:
        """Count a failure; see `Breaker.failed`."""
        self._breaker.failed(passed, weight)
        self._tell()

    def gave_up(self, passed: Pass) -> None:
        """Count an end that says nothing of the worker."""
        self._breaker.gave_up(passed)
        self._tell()

    def _tell(self) -> None:
        if self._breaker.state is not self._told:
            self._told = self._breaker.state
            self._changed(self, self._told)


class Endpoints:
    """Every release's endpoints, as the newest table places them.

    Args:
        clients: By backend; a placement on a backend that is not here is not for this gateway.
        changed: Called with an endpoint and its breaker's state, at first and when that changes.
        gone: Called with an endpoint that was dropped as its backend is none any more.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        clients: Mapping[str, Predictor],
        changed: Callable[[Endpoint, BreakerState], None],
        *,
        gone: Callable[[Endpoint], None] = lambda _endpoint: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clients = clients
        self._changed = changed
        self._gone = gone
        self._clock = clock
        self._endpoints: dict[ReleaseKey, dict[str, Endpoint]] = {}
        self._turns = count(1)

    def use(self, clients: Mapping[str, Predictor]) -> None:
        """Know other backends from the next table on, or the same one applied again."""
        self._clients = clients

    def apply(self, table: RouteTable) -> None:
        """Take a new table's placements."""
        for key in table.placements.keys() | self._endpoints.keys():
            ready, known = table.ready_workers(key), self._endpoints.setdefault(key, {})
            placed = {one: ready[one] for one in ready if one in self._clients}
            for backend in placed.keys() | known.keys():
                if backend not in known:
                    known[backend] = self._new(backend, key)
                known[backend].place(placed.get(backend, 0))
            self._drop_gone(known)
            if not placed and not any(one.outstanding for one in known.values()):
                del self._endpoints[key]

    def choose(self, key: ReleaseKey, without: Collection[str] = ()) -> Endpoint | None:
        """Return the least busy endpoint that may be sent to, for its workers; None: there is none.

        Args:
            key: The release.
            without: Backends that were tried.
        """
        up = [one for one in self._of(key) if one.backend not in without and one.is_up()]
        chosen = min(up, key=Endpoint.load, default=None)
        if chosen is not None:
            chosen.last_used = next(self._turns)
        return chosen

    def is_up(self, key: ReleaseKey) -> bool:
        """Whether the release may be sent to somewhere now."""
        return any(one.is_up() for one in self._of(key))

    def is_ready(self, key: ReleaseKey) -> bool:
        """Whether a backend with ready workers has not been found wanting."""
        return sum(self.ready_workers(key)) > 0

    def ready_workers(self, key: ReleaseKey) -> list[int]:
        """Return the release's ready workers on each backend that is not cut off."""
        return [one.ready_workers for one in self._of(key) if one.state is not BreakerState.OPEN]

    def retry_after_s(self, key: ReleaseKey) -> float | None:
        """Return when the first endpoint may be sent to again, in seconds; None: no telling."""
        placed = [one.retry_after_s() for one in self._of(key) if one.ready_workers > 0]
        return min(placed, default=None)

    def forget(self, key: ReleaseKey) -> None:
        """Drop a release that nothing is sent to any more and that owes nothing."""
        self._endpoints.pop(key, None)

    def _drop_gone(self, known: dict[str, Endpoint]) -> None:
        """Drop the endpoints on backends that are none any more, once they owe nothing."""
        for backend in known.keys() - self._clients.keys():
            if not known[backend].outstanding:
                self._gone(known.pop(backend))

    def _new(self, backend: str, key: ReleaseKey) -> Endpoint:
        client = self._clients[backend]
        endpoint = Endpoint(backend, client, key, changed=self._changed, clock=self._clock)
        self._changed(endpoint, endpoint.state)
        return endpoint

    def _of(self, key: ReleaseKey) -> Collection[Endpoint]:
        return self._endpoints.get(key, {}).values()
