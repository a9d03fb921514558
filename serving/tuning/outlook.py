"""How much of a search's time is spent, and about how much is left."""

from collections.abc import Callable

# Before anything was measured: starting a worker of one, asking it, ending it.
_FIRST_GUESS_S = 8.0
# In probes: a climb is one start and several loads.
_COSTS = {"variants": 1.0, "layouts": 1.0, "batches": 1.0, "climbs": 4.5, "confirm": 3.0}


class Outlook:
    """Counts what is still to be done, and what each has taken so far.

    Args:
        clock: In seconds.
        budget_s: For everything.
    """

    def __init__(self, clock: Callable[[], float], budget_s: float) -> None:
        self._clock = clock
        self._budget_s = budget_s
        self._began_s = clock()
        self._done = 0.0
        self._to_do = dict.fromkeys(_COSTS, 0) | {"confirm": 1}

    def plan(self, **stages: int) -> None:
        """Say how often each of some stages is still to be done."""
        self._to_do |= stages

    def did(self, stage: str) -> None:
        """Say that a stage was done once more."""
        self._done += _COSTS[stage]
        self._to_do[stage] = max(0, self._to_do[stage] - 1)

    @property
    def spent_s(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began_s

    @property
    def left_s(self) -> float:
        """About how many seconds are left: of what is to be done, and of the budget."""
        each_s = self.spent_s / self._done if self._done else _FIRST_GUESS_S
        to_do = sum(_COSTS[stage] * count for stage, count in self._to_do.items())
        return max(0.0, min(each_s * to_do, self.budget_left_s))

    @property
    def budget_left_s(self) -> float:
        """Seconds of the budget that are left."""
        return max(0.0, self._budget_s - self.spent_s)

    @property
    def is_over(self) -> bool:
        """Whether the budget is spent."""
        return self.is_past(1.0)

    def is_past(self, share: float) -> bool:
        """Whether so much of the budget is spent."""
        return self.spent_s >= share * self._budget_s
