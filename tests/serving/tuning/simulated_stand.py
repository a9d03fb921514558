"""A machine in arithmetic: what a way answers, and how long frames take, by a clock of its own.

Frames queue for the workers in the order in which they come, at the moments that the real load
generator draws: waits depend on the draw, workers share one queue, and a short look can be lucky.
"""

import heapq
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from serving.controlplane.wanted import Wanted
from serving.errors import BackendUnavailable, UnderstudyError
from serving.tuning.load import Measured, arrivals_s

START_S = 4.0
_LONG_FRAMES = 30_000


@dataclass(frozen=True)
class Model:
    """A variant's arithmetic.

    Attributes:
        frame_ms: Of one frame on one thread.
        batch_gain: Part of a frame's time that is spent once a batch.
        serial: Part of a run that further threads do not speed up (Amdahl).
        fails: Raised instead of running; None: it runs.
        fails_under_load: Raised when it is offered frames.
    """

    frame_ms: float
    batch_gain: float = 0.0
    serial: float = 0.1
    fails: UnderstudyError | None = None
    fails_under_load: UnderstudyError | None = None

    def batch_s(self, wanted: Wanted, frames: int) -> float:
        """Return the time of a batch in one worker."""
        slowness = self.serial + (1 - self.serial) / (wanted.threads or 1)
        once, each = self.batch_gain, 1 - self.batch_gain
        return self.frame_ms / 1000 * (once + each * frames) * slowness

    def frames_per_s(self, wanted: Wanted) -> float:
        """Return what all workers answer at most."""
        return wanted.workers * wanted.batch_size / self.batch_s(wanted, wanted.batch_size)

    def waits_ms(self, wanted: Wanted, moments_s: Sequence[float]) -> list[float]:
        """Return how long each frame takes; a free worker takes what waits, a batch at most."""
        free_s, waits_ms = [0.0] * wanted.workers, []
        first = 0
        while first < len(moments_s):
            begins_s = max(heapq.heappop(free_s), moments_s[first] + wanted.batch_delay_ms / 1000)
            last = first + 1
            while (
                last < min(len(moments_s), first + wanted.batch_size)
                and moments_s[last] <= begins_s
            ):
                last += 1
            ends_s = begins_s + self.batch_s(wanted, last - first)
            waits_ms += [1000 * (ends_s - one) for one in moments_s[first:last]]
            heapq.heappush(free_s, ends_s)
            first = last
        return waits_ms

    def long_run_p99_ms(self, wanted: Wanted, rate: float) -> float:
        """Return the p99 of many frames at a rate, on arrivals that no search has met."""
        gaps = np.random.default_rng(1).exponential(1 / rate, _LONG_FRAMES)
        return float(np.percentile(self.waits_ms(wanted, np.cumsum(gaps).tolist()), 99))


@dataclass
class SimulatedStand:
    """Runs ways in no time, and says that it took some.

    Attributes:
        models: By variant.
        kills: Ways with so many workers kill the server, which is back at once; 0: none does.
        now_s: Its clock.
        ran: Every way that was started, in order.
        offers: Every load that was offered: the way, the rate and the draw.
    """

    models: Mapping[str, Model]
    kills: int = 0
    now_s: float = 0.0
    ran: list[Wanted] = field(default_factory=list)
    offers: list[tuple[Wanted, float, int]] = field(default_factory=list)

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
        if self.kills and wanted.workers == self.kills:
            raise BackendUnavailable("TorchServe did not answer PUT /models")
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

    async def offered(self, rate: float, seconds: float, draw: int = 0) -> Measured:
        """Return what a draw's arrivals come to."""
        self.stand.now_s += seconds
        self.stand.offers.append((self.wanted, rate, draw))
        if self.model.fails_under_load is not None:
            raise self.model.fails_under_load
        moments_s = arrivals_s(rate, seconds, draw)
        waits_ms = self.model.waits_ms(self.wanted, moments_s)
        ends_s = max(one + wait / 1000 for one, wait in zip(moments_s, waits_ms, strict=True))
        spent_s = max(seconds, ends_s)
        p50_ms, p99_ms = (
            float(np.percentile(waits_ms, share, method="higher")) for share in (50, 99)
        )
        count = len(waits_ms)
        return Measured(count / spent_s, p50_ms, p99_ms, count, spent_s, waits_ms)
