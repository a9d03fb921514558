"""Where the arms stand: each for itself, against each other, and against their teachers."""

from collections import defaultdict
from typing import Any

from bench.distill.cells import Figures
from bench.distill.comparing import (
    Resampled,
    Scored,
    bounded,
    difference,
    gap_closed,
    resample,
    retention,
)
from bench.distill.measuring import read_matches
from bench.distill.plan import Plan

# Which arm is held against which, on the folds that both have.
_PAIRS = (
    ("ours", "none"),
    ("ours", "none-long"),
    ("ours", "builtin"),
    ("builtin", "none"),
    ("none-long", "none"),
    ("ours-int8", "ours"),
    ("ours-small", "none"),
    ("engine-check", "none"),
    ("few-ours", "few-none"),
    ("few-ours", "few-builtin"),
    ("few-ours", "few-pseudo"),
    ("few-builtin", "few-none"),
    ("few-pseudo", "few-none"),
)
_STUDENTS = ("none", "none-long", "builtin", "ours", "ours-int8", "ours-small", "ours-small-int8")
_FEW = ("few-none", "few-builtin", "few-pseudo", "few-ours")


def standings(plan: Plan) -> Figures:
    """Return what the finished cells say of the arms.

    Once a fold has every arm, only such folds speak: arms on different images are not comparable.
    Before that each figure stands on the folds that its arms share.
    """
    pool = _Pool(_scored(plan))
    return {
        "folds": {"planned": sorted(plan.only_folds), "whole": list(plan.whole_folds())},
        "arms": {arm: _arm(pool, arm) for arm in pool.scored},
        "differences": {
            f"{first} - {second}": {
                "folds": list(folds),
                **difference(pool.on(first, folds), pool.on(second, folds)),
            }
            for first, second in _PAIRS
            if (folds := pool.shared(first, second))
        },
        "retention": {
            arm: retention(pool.on(arm, folds), pool.on("teacher", folds))
            for arm in (*_STUDENTS, *_FEW)
            if (folds := pool.shared(arm, "teacher"))
        },
        "gap_closed": {
            arm: gap_closed(*(pool.on(one, folds) for one in (arm, none, "teacher")))
            for none, *others in (_STUDENTS, _FEW)
            for arm in others
            if (folds := pool.shared(arm, none, "teacher"))
        },
    }


class _Pool:
    """Every arm's figures on the folds that it shares with those it is held against."""

    def __init__(self, scored: dict[str, Scored]) -> None:
        self.scored = scored
        self._known: dict[tuple[str, tuple[int, ...]], Resampled] = {}

    def shared(self, *arms_: str) -> tuple[int, ...]:
        """Return the folds that all of these arms have; none where an arm is missing."""
        if any(arm not in self.scored for arm in arms_):
            return ()
        return tuple(sorted(set.intersection(*(set(self.scored[arm].folds) for arm in arms_))))

    def on(self, arm: str, folds: tuple[int, ...]) -> Resampled:
        """Return an arm's figures on some folds."""
        if (arm, folds) not in self._known:
            self._known[arm, folds] = resample(self.scored[arm], folds)
        return self._known[arm, folds]


def _arm(pool: _Pool, arm: str) -> Figures:
    folds = pool.shared(arm)
    whole = pool.on(arm, folds)
    alone = {fold: pool.on(arm, (fold,)).map50_95[0] for fold in folds}
    return {
        "map50_95": bounded(whole.map50_95),
        "map50": bounded(whole.map50),
        "pooled_map50_95": bounded(whole.pooled_map50_95),
        "folds": {str(fold): round(100 * float(value), 4) for fold, value in alone.items()},
        "seeds": list(pool.scored[arm].seeds()),
    }


def _scored(plan: Plan) -> dict[str, Scored]:
    """Read what every finished model answered; an arm's reduced precision is an arm of its own."""
    found: dict[str, dict[int, dict[int, Any]]] = defaultdict(lambda: defaultdict(dict))
    whole = plan.whole_folds() or plan.only_folds
    for one in plan.trained():
        if one.fold not in whole:
            continue
        for precision, cell in one.measured.items():
            if plan.store.figures(cell.key) is None:
                continue
            name = one.arm if precision == "fp32" else f"{one.arm}-{precision}"
            found[name][one.fold][one.seed] = read_matches(plan.store.folder(cell.key))
    return {name: Scored(name, folds) for name, folds in found.items()}
