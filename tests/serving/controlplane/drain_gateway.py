"""A gateway of the drain's model: the real route table, choice and counts; a simulated rest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drain_rules import Rules
from drain_store import SimBackend, SimStore

from serving.controlplane.gone import GATEWAY_LEASE_S, LONGEST_DEADLINE_S
from serving.dataplane.inflight import InFlight
from serving.dataplane.route_table import RouteTable
from serving.dataplane.routing import pick
from serving.store.values import ReleaseKey

# A gateway keeps a place for this long after the deadline: TorchServe cannot be told to stop.
_ABANDONED_S = 30.0


@dataclass
class Request:
    """A frame on its way.

    Attributes:
        key: Where the route sends it.
        until_s: Its client's deadline.
        counted: Whether the gateway's counts hold it.
        backend: Where it is, once it has arrived.
    """

    key: ReleaseKey
    until_s: float
    counted: bool
    backend: SimBackend | None = None


class SimGateway:
    """One gateway process.

    Args:
        name: Its id.
        store: What it reads and writes.
        rules: Which rules of the protocol it keeps.
    """

    def __init__(self, name: str, store: SimStore, rules: Rules) -> None:
        self.name = name
        self._store = store
        self._clock = store.clock
        self._rules = rules
        self.in_flight = InFlight(lambda _key, _count: None)
        self.table = RouteTable()
        self._read: RouteTable | None = None
        self.requests: list[Request] = []
        self.beaten_s = float("-inf")
        self._is_fresh = False
        self.stalled = False
        self.cut_off = False
        self._joining: Iterator[None] | None = self._join()

    def _join(self) -> Iterator[None]:
        """Write the row, read the route, then beat for the first time."""
        if self._rules.row_before_route:
            self._store.join(self.name)
            yield
        self.table = self._store.table()
        yield
        if not self._rules.row_before_route:
            self._store.join(self.name)
            yield
        self.beat()
        # Else the first frame waits for another beat and another read, as after any gap.
        self._is_fresh = not self._rules.row_before_route

    @property
    def is_joining(self) -> bool:
        """Whether it serves nobody yet."""
        return self._joining is not None

    def step(self) -> None:
        """Go on joining, or look at the route once: read it, or apply what was read."""
        if self.stalled or self.cut_off:
            return
        if self._joining is not None:
            if next(self._joining, self) is self:
                self._joining = None
        elif self._read is None:
            self._read = self._store.table()
        else:
            self.table, self._read = self._read, None
            self.beat()

    def beat(self) -> None:
        """Tell what is applied and what is held, both as of this moment."""
        told = self.table.revision
        if not self._rules.tells_what_it_applied:
            told = self._store.revision
        if self._clock.now_s - self.beaten_s >= GATEWAY_LEASE_S:
            self._is_fresh = False
        self.beaten_s = self._clock.now_s
        self._store.beat(self.name, told, self.in_flight.counts())

    def alive(self) -> None:
        """Do what a gateway does by itself all the time."""
        if not (self.stalled or self.cut_off or self.is_joining):
            self.beat()
        if not self.stalled:
            for request in list(self.requests):
                if self._clock.now_s >= request.until_s + _ABANDONED_S:
                    self.end(request)

    def may_send(self) -> bool:
        """Whether the next frame goes out without a word to the store."""
        if not self._rules.fences_itself:
            return not self.is_joining
        return self._is_fresh and self._clock.now_s - self.beaten_s < GATEWAY_LEASE_S

    def take(self, camera: str, *, shadow: bool = False) -> None:
        """Take a frame in: choose its release and count it, in one stretch."""
        if self.stalled or self.is_joining or not self._is_fenced_in():
            return
        route = self.table.route("default")
        arm = route.arm(route.shadow.arm) if shadow and route.shadow else pick(route, camera)
        if arm is not None:
            until_s = self._clock.now_s + LONGEST_DEADLINE_S
            self._count(Request(arm.release, until_s, counted=False))

    def _is_fenced_in(self) -> bool:
        """After a gap, write a heartbeat and then read the route, before anything is sent."""
        if self.may_send():
            return True
        if self.cut_off:
            return False
        self.beat()
        if self._rules.reads_after_a_gap:
            self.table, self._read = self._store.table(), None
        self._is_fresh = True
        return True

    def _count(self, request: Request) -> None:
        self.requests.append(request)
        if self._rules.counts_at_once:
            self._enter(request)

    def _enter(self, request: Request) -> None:
        if not request.counted:
            request.counted = True
            self.in_flight.enter(request.key)

    def send(self, request: Request, backends: Sequence[SimBackend]) -> None:
        """Send a frame that waits; where nobody knows its release, read the route and go again."""
        if self.stalled or request.backend is not None or self._clock.now_s >= request.until_s:
            return
        self._enter(request)
        for backend in backends:
            if request.key in backend.running:
                request.backend = backend
                return
        self.end(request)
        if not self.cut_off:
            self.table, self._read = self._store.table(), None
            key = pick(self.table.route("default"), "again").release
            self._count(Request(key, request.until_s, counted=False))

    def end(self, request: Request) -> None:
        """Take an answer, whatever it is."""
        self.requests.remove(request)
        if request.counted:
            self.in_flight.leave(request.key)
