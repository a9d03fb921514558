"""A controller of the drain's model: the steps of the real one, each await a place to be held up.

The decisions are the real ones: `Silence`, `may_act`, the states and what is loaded.
"""

from collections.abc import Iterator, Sequence

from drain_rules import Rules
from drain_store import SimBackend, SimStore, route

from serving.controlplane.gone import GATEWAY_LEASE_S, SILENT_AFTER_S, Silence
from serving.controlplane.leadership import LEASE_TTL_S, may_act
from serving.controlplane.releases import LOADED, ON_THE_WAY
from serving.errors import LeaseLost
from serving.store.values import ReleaseKey, ReleaseState, Route

GONE = frozenset({ReleaseState.RETIRED, ReleaseState.FAILED})
Work = Iterator[str]
"""Yields at each await; where that is, if the machine may want to stop there."""
DRAINED = "drained"
CONFIRMED = "confirmed"


class SimController:
    """One controller process, in one term of its leadership after the other.

    Args:
        holder: Its name in the lease.
        store: What it reads and writes.
        backends: What it fills and empties.
        rules: Which rules of the protocol it keeps.
    """

    def __init__(
        self, holder: str, store: SimStore, backends: Sequence[SimBackend], rules: Rules
    ) -> None:
        self.holder = holder
        self._store = store
        self._clock = store.clock
        self._backends = backends
        self._rules = rules
        self.stalled = False
        self._epoch: int | None = None
        self._works: list[Work] = []
        self._begin(None)

    def _begin(self, epoch: int | None) -> None:
        silent_s = SILENT_AFTER_S if self._rules.waits_for_deadlines else GATEWAY_LEASE_S
        self._epoch = epoch
        self._silence = Silence(silent_s)
        self._draining: set[ReleaseKey] = set()
        self._deploying = self._routing = False
        self._works = [] if epoch is None else [self._taken_up()]

    @property
    def leads(self) -> bool:
        """Whether it believes so."""
        return self._epoch is not None

    @property
    def is_busy(self) -> bool:
        """Whether it has something to do and can."""
        return bool(self._works) and not self.stalled

    def alive(self) -> None:
        """Do what a controller does by itself: renew, or compete; look at the gateways."""
        if self.stalled:
            return
        try:
            self._check()
        except LeaseLost:
            self._begin(self._store.acquire(self.holder, LEASE_TTL_S))
        else:
            self._store.renew(self._store.epoch, LEASE_TTL_S)
            self._silence.observe(self._store.rows.values(), self._clock.now_s)

    def step(self, which: int) -> str:
        """Go one step further in one of the things that are under way; returns where that is."""
        if self.stalled or not self._works:
            return ""
        work = self._works[which % len(self._works)]
        try:
            return next(work)
        except (StopIteration, LeaseLost):
            # The others go on until the next renewal fails.
            self._works.remove(work)
        return ""

    def swap(self, wanted: Route) -> None:
        """An operator sets a route."""
        if self.leads and not self.stalled:
            self._works.append(self._swap(wanted))

    def bring_back(self, key: ReleaseKey) -> None:
        """An operator deploys a release that is gone, and gives it traffic."""
        if self.leads and not self.stalled:
            self._works.append(self._bring_back(key))

    def is_leader(self) -> bool:
        """Whether it really leads."""
        return self._epoch == self._store.epoch and self._store.expires_s > self._clock.now_s

    def _check(self) -> None:
        """What the fenced store does in each transaction that writes."""
        if self._epoch is None:
            raise LeaseLost("not held")
        self._store.check(self._epoch)

    def _move(self, key: ReleaseKey, to: ReleaseState) -> None:
        self._check()
        self._store.move(key, to)

    def _swap(self, wanted: Route) -> Work:
        while self._routing:
            yield ""
        self._routing = True
        if all(self._store.state(key) in LOADED for key in wanted.releases()):
            yield ""
            self._check()
            self._store.put_route(wanted)
            yield ""
            yield from self._settle()
        self._routing = False

    def _settle(self) -> Work:
        named, revision = self._store.route.releases(), self._store.revision
        for key in sorted(self._store.releases, key=str):
            state = self._store.state(key)
            if key in named and state is not ReleaseState.LIVE and state in LOADED:
                self._move(key, ReleaseState.LIVE)
            if key not in named and state is ReleaseState.LIVE:
                self._move(key, ReleaseState.DRAINING)
            yield ""
        for key in self._store.releases:
            if self._store.state(key) is ReleaseState.DRAINING and key not in self._draining:
                self._draining.add(key)
                self._works.append(self._drain(key, revision))

    def _drain(self, key: ReleaseKey, revision: int) -> Work:
        while True:
            asked_at_s = self._clock.now_s
            self._check()
            holders = self._store.holders(key, revision if self._rules.asks_revision else -1)
            counted = self._silence.counted(
                holders, asked_at_s=asked_at_s, answered_at_s=self._clock.now_s
            )
            yield "" if counted else DRAINED
            if not counted:
                break
        while self._deploying:
            yield ""
        self._deploying = True
        try:
            yield from self._remove(key)
            self._move(key, ReleaseState.RETIRED)
        finally:
            self._draining.discard(key)
            self._deploying = False

    def _remove(self, key: ReleaseKey) -> Work:
        for backend in self._backends:
            yield from self._confirmed()
            backend.unregister(key)
            yield ""

    def _confirmed(self) -> Work:
        asked_at_s = self._clock.now_s
        if self._rules.checks_epoch:
            self._check()
            self._store.renew(self._epoch or 0, LEASE_TTL_S)
        yield CONFIRMED
        is_late = not may_act(asked_at_s, self._clock.now_s, LEASE_TTL_S)
        if self._rules.acts_in_time and is_late:
            raise LeaseLost("too late")

    def _bring_back(self, key: ReleaseKey) -> Work:
        yield from self._deploy(key)
        yield from self._swap(route(key, min(self._store.route.releases(), key=str)))

    def _deploy(self, key: ReleaseKey) -> Work:
        while self._deploying:
            yield ""
        if self._store.state(key) not in GONE:
            return
        self._deploying = True
        self._move(key, ReleaseState.LOADING)
        yield from self._remove(key)
        for backend in self._backends:
            yield from self._confirmed()
            backend.running.add(key)
            yield ""
        self._move(key, ReleaseState.READY)
        self._deploying = False

    def _taken_up(self) -> Work:
        """Take up what an earlier leader has left: settle, undo, and fill empty backends."""
        while self._routing:
            yield ""
        self._routing = True
        yield from self._settle()
        self._routing = False
        for key in list(self._store.releases):
            if self._store.state(key) in ON_THE_WAY and not self._deploying:
                self._deploying = True
                self._move(key, ReleaseState.FAILED)
                yield from self._remove(key)
                self._deploying = False
        while True:
            if not self._deploying:
                self._deploying = True
                for backend in self._backends:
                    yield from self._mend(backend)
                self._deploying = False
            yield ""

    def _mend(self, backend: SimBackend) -> Work:
        running = set(backend.running)
        states = {key: self._store.state(key) for key in self._store.releases}
        yield ""
        missing = {key for key, state in states.items() if state in LOADED} - running
        if missing:
            yield from self._confirmed()
            backend.running |= missing
        for key in [key for key in running if states[key] in GONE]:
            yield from self._confirmed()
            backend.unregister(key)
