"""The store, the backends and the clock of the drain's model: each method is one transaction."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from serving.dataplane.route_table import RouteTable
from serving.errors import LeaseLost
from serving.store.values import (
    Arm,
    GatewayStatus,
    Release,
    ReleaseKey,
    ReleaseState,
    Route,
    Shadow,
)

NAMES = ("a", "b", "c")
KEYS = tuple(ReleaseKey(model=name, version="1") for name in NAMES)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _release(key: ReleaseKey, state: ReleaseState) -> Release:
    return Release(
        key=key,
        sha256=key.model,
        role="student",
        class_names=("cell",),
        operating_thresholds=(0.25,),
        quality_measured=True,
        state=state,
        created=_NOW,
        updated=_NOW,
    )


def route(first: ReleaseKey, second: ReleaseKey) -> Route:
    """Return a route that splits the cameras between two releases; the second shadows, too."""
    arms = [Arm(name="only", release=first, weight=100)]
    if second != first:
        arms = [
            Arm(name="one", release=first, weight=50),
            Arm(name="two", release=second, weight=50),
        ]
    return Route(arms=tuple(arms), shadow=Shadow(arm=arms[-1].name, rate=1))


@dataclass
class Clock:
    """Simulated seconds, the same for all; only differences of one party's readings are used."""

    now_s: float = 0.0


@dataclass
class SimStore:
    """What the tables hold."""

    clock: Clock
    route: Route
    revision: int = 1
    releases: dict[ReleaseKey, Release] = field(default_factory=dict)
    rows: dict[str, GatewayStatus] = field(default_factory=dict)
    holder: str = ""
    epoch: int = 0
    expires_s: float = float("-inf")

    def table(self) -> RouteTable:
        """Return what a gateway reads."""
        return RouteTable(self.revision, {"default": self.route}, dict(self.releases))

    def join(self, gateway: str) -> None:
        """Add a row that holds up every drain."""
        self._write(gateway, 0, -1, {})

    def beat(self, gateway: str, revision: int, in_flight: dict[str, int]) -> None:
        """Write a heartbeat."""
        before = self.rows.get(gateway)
        self._write(gateway, 1 if before is None else before.beat + 1, revision, in_flight)

    def _write(self, gateway: str, beat: int, revision: int, in_flight: dict[str, int]) -> None:
        self.rows[gateway] = GatewayStatus(
            id=gateway,
            started=_NOW,
            heartbeat=_NOW,
            beat=beat,
            revision=revision,
            in_flight=in_flight,
        )

    def acquire(self, holder: str, ttl_s: float) -> int | None:
        """Return the new epoch, or None where another leads."""
        if self.holder not in {"", holder} and self.expires_s > self.clock.now_s:
            return None
        self.holder, self.epoch = holder, self.epoch + 1
        self.expires_s = self.clock.now_s + ttl_s
        return self.epoch

    def renew(self, epoch: int, ttl_s: float) -> None:
        """Hold the lease for longer, or raise LeaseLost."""
        self.check(epoch)
        self.expires_s = self.clock.now_s + ttl_s

    def check(self, epoch: int) -> None:
        """Raise LeaseLost unless the epoch leads."""
        if epoch != self.epoch or self.expires_s <= self.clock.now_s:
            raise LeaseLost(f"epoch {epoch}")

    def holders(self, key: ReleaseKey, revision: int) -> list[GatewayStatus]:
        """Return who holds a release, or may still send to it."""
        return [
            row
            for row in self.rows.values()
            if row.revision < revision or row.in_flight.get(str(key), 0) > 0
        ]

    def put_route(self, wanted: Route) -> None:
        """Add a revision."""
        self.route, self.revision = wanted, self.revision + 1

    def move(self, key: ReleaseKey, to: ReleaseState) -> None:
        """Give a release another state."""
        self.releases[key] = _release(key, to)

    def state(self, key: ReleaseKey) -> ReleaseState:
        """Return a release's state."""
        return self.releases[key].state


class SimBackend:
    """A TorchServe: what it runs, and who is told before anything is removed.

    Args:
        removing: Called before a release is unregistered, while its frames are still there.
    """

    def __init__(self, removing: Callable[["SimBackend", ReleaseKey], None]) -> None:
        self._removing = removing
        self.running: set[ReleaseKey] = set()

    def unregister(self, key: ReleaseKey) -> None:
        """Remove a release at once: what it holds is lost."""
        if key in self.running:
            self._removing(self, key)
            self.running.discard(key)
