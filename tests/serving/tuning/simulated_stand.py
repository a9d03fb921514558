"""A machine in arithmetic: what a way answers, and how long frames take, by a clock of its own."""

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from serving.controlplane.wanted import Wanted
from serving.errors import UnderstudyError
from serving.tuning.load import Measured

START_S = 5.0
_LONG_S = 10.0


@dataclass(frozen=True)
class Model:
    """A variant's arithmetic.

    Attributes:
        frame_ms: Of one frame on one thread.
        batch_gain: Part of a frame's time that is spent once a batch.
        thread_gain: Share of another thread that speeds a run up.
        long_tail: What a long look makes of a short one's p99.
        fails: Raised instead of running; None: it runs.
        fails_under_load: Raised when it is offered frames.
    """

    frame_ms: float
    batch_gain: float = 0.0
    thread_gain: float = 0.8
    long_tail: float = 1.0
    fails: UnderstudyError | None = None
    fails_under_load: UnderstudyError | None = None

    def batch_ms(self, wanted: Wanted) -> float:
        """Return the time of a full batch in one worker."""
        speed = 1 + self.thread_gain * ((wanted.threads or 1) - 1)
        once, each = self.batch_gain, 1 - self.batch_gain
        return self.frame_ms * (once + each * wanted.batch_size) / speed

    def frames_per_s(self, wanted: Wanted) -> float:
        """Return what all workers answer at most."""
        return 1000 * wanted.workers * wanted.batch_size / self.batch_ms(wanted)


@dataclass
class SimulatedStand:
    """Runs ways in no time, and says that it took some.

    Attributes:
        models: By variant.
        now_s: Its clock.
        ran: Every way that was started, in order.
        offers: Every load that was offered: the way and the rate.
    """

    models: Mapping[str, Model]
    now_s: float = 0.0
    ran: list[Wanted] = field(default_factory=list)
    offers: list[tuple[Wanted, float]] = field(default_factory=list)

    def clock(self) -> float:
        """Return the time."""
        return self.now_s

    @asynccontextmanager
    async def running(self, wanted: Wanted) -> AsyncIterator["SimulatedRelease"]:
        """Start a way."""
        self.ran.append(wanted)
        self.now_s += START_S
        model = self.models[wanted.variant]
        if model.fails is not None:
            raise model.fails
        yield SimulatedRelease(self, wanted, model)


@dataclass(frozen=True)
class SimulatedRelease:
    """A way that runs."""

    stand: SimulatedStand
    wanted: Wanted
    model: Model

    async def saturated(self, seconds: float) -> Measured:
        """Return its capacity."""
        self.stand.now_s += seconds
        most = self.model.frames_per_s(self.wanted)
        return Measured(most, 0.0, 0.0, round(most * seconds), seconds)

    async def offered(self, rate: float, seconds: float) -> Measured:
        """Return a p99 that grows without limit towards the capacity."""
        self.stand.now_s += seconds
        self.stand.offers.append((self.wanted, rate))
        if self.model.fails_under_load is not None:
            raise self.model.fails_under_load
        busy = rate / self.model.frames_per_s(self.wanted)
        alone_ms = self.model.batch_ms(self.wanted) + self.wanted.batch_delay_ms
        p99_ms = alone_ms * (1 + busy / (1 - busy)) if busy < 1 else math.inf
        p99_ms *= self.model.long_tail if seconds >= _LONG_S else 1
        return Measured(min(rate, rate / busy), p99_ms / 2, p99_ms, round(rate * seconds), seconds)
