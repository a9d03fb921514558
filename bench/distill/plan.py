"""Which cells there are, as far as the finished ones tell: later ones depend on earlier figures."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from bench.distill import arms
from bench.distill.arms import Choice
from bench.distill.cells import Cell, Figures, Store
from bench.distill.few_arms import few_cell
from bench.distill.folds import Fold
from bench.distill.naming import Naming

# In the order in which they are run within a fold.
_TRAINED_ARMS = ("none", "teacher", "builtin", "ours", "none-long", "ours-small")
_CHECK = "engine-check"
# No fold waits for them to be whole.
_BESIDES = {_CHECK, *arms.FEW_ARMS}
# What "as long as ours" is counted in: processor time of one thread, whatever else the machine
# does; with a GPU, where the processor mostly waits, the clock on the wall.
_COSTS = {"cpu": "cpu_s", "cuda": "wall_s"}


@dataclass(frozen=True)
class Trained:
    """A training that the report speaks of.

    Attributes:
        arm: "teacher", "none"...
        fold: Number.
        seed: Of its training.
        training: Its cell.
        measured: Cells of its scores on the held-out part, by precision.
    """

    arm: str
    fold: int
    seed: int
    training: Cell
    measured: dict[str, Cell]


@dataclass(frozen=True)
class Plan:
    """The whole benchmark.

    Attributes:
        store: Finished cells.
        folds: All of them; `only_folds` are run.
        weights: Digests of the COCO weights, by file name.
        wanted: Arms to be run; what they need is run too.
        only_folds: Numbers.
        seeds: Repetitions.
        device: What trains: "cpu" or "cuda".
    """

    store: Store
    folds: Sequence[Fold]
    weights: dict[str, str]
    wanted: Collection[str] = (*arms.ARMS, *arms.FEW_ARMS)
    only_folds: Collection[int] = (0, 1, 2)
    seeds: Sequence[int] = arms.SEEDS
    device: str = "cpu"

    def cells(self) -> list[Cell]:
        """Return all cells that can be named by now, each after those it needs."""
        found: dict[str, Cell] = {}
        for cell in self._cells():
            found.setdefault(cell.key, cell)
        return list(found.values())

    def trained(self) -> list[Trained]:
        """Return the compared trainings that can be named by now."""
        return [one for arm, fold in self._places() for one in self._compared(arm, fold)]

    def chosen_folds(self) -> list[Fold]:
        """Return the folds that are run."""
        return [self.folds[number] for number in sorted(self.only_folds)]

    def is_whole(self) -> bool:
        """Whether it is every arm on every fold."""
        whole = {*arms.ARMS, *arms.FEW_ARMS}
        return set(self.wanted) == whole and len(self.only_folds) == len(self.folds)

    def whole_folds(self) -> tuple[int, ...]:
        """Return the numbers of the folds whose arms are all trained and measured."""
        measured = Counter(
            one.fold
            for one in self.trained()
            if one.arm not in _BESIDES and all(self._done(cell) for cell in one.measured.values())
        )
        needed = len(self._trained_arms()) * len(self.seeds)
        return tuple(fold for fold in sorted(self.only_folds) if measured[fold] == needed)

    def choice(self, arm: str, fold: Fold) -> Choice | None:
        """Return what an arm's trials chose in a fold, None while they are not all done."""
        trials = self.trials(arm, fold)
        scores = [self._score(cell) for _, cell in trials]
        known = [score for score in scores if score is not None]
        if not trials or len(known) < len(trials):
            return None
        return trials[known.index(max(known))][0]

    def trials(self, arm: str, fold: Fold) -> list[tuple[Choice, Cell]]:
        """Return an arm's trials in a fold with their cells; none while what they share is open.

        A trial is the very training that its choice makes: the chosen one is not repeated.
        """
        seed = arms.SEEDS[0]
        named = [(one, self._training(arm, fold, seed, one)) for one in arms.SPACES[arm]]
        return [(choice, cell) for choice, cell in named if cell is not None]

    @property
    def _naming(self) -> Naming:
        return Naming(self.weights, self.device)

    def _cells(self) -> Iterator[Cell]:
        for arm, fold in self._places():
            trials = self.trials(arm, fold) if arm in arms.SPACES else []
            if arm == "ours-small" and trials:
                yield self._naming.narrow(fold)
            yield from (cell for _, cell in trials)
            for one in self._compared(arm, fold):
                yield one.training
                yield from one.measured.values()
        yield from self._timed()

    def _places(self) -> Iterator[tuple[str, Fold]]:
        """Yield which arm is trained where; fold by fold, so that one that is stopped has some."""
        folds = self.chosen_folds()
        for fold in folds:
            yield from ((arm, fold) for arm in self._trained_arms())
        if _CHECK in self.wanted:
            yield _CHECK, folds[0]
        few = [arm for arm in arms.FEW_ARMS if arm in self.wanted]
        yield from ((arm, fold) for fold in folds for arm in few)

    def _trained_arms(self) -> list[str]:
        """Return who is trained; the INT8 arm is a precision of ours, and the long one needs it."""
        wanted = {"teacher", "none", *self.wanted}
        if {"ours-int8", "none-long", *arms.FEW_ARMS} & wanted:
            wanted.add("ours")
        if wanted & set(arms.FEW_ARMS):
            wanted.add("builtin")
        return [arm for arm in _TRAINED_ARMS if arm in wanted]

    def _compared(self, arm: str, fold: Fold) -> Iterator[Trained]:
        for seed in self.seeds:
            cell = self._final(arm, fold, seed)
            if cell is not None:
                precisions = ("fp32", "int8") if arm.startswith("ours") else ("fp32",)
                named = {one: self._naming.measured(cell, fold, one) for one in precisions}
                yield Trained(arm, fold.number, seed, cell, named)

    def _final(self, arm: str, fold: Fold, seed: int) -> Cell | None:
        """Name an arm's training; None while something that it needs is not known."""
        if arm == "none-long":
            return self._long(fold, seed)
        if arm in arms.FEW_ARMS:
            choices = {one: self.choice(one, fold) for one in ("none", "builtin", "ours")}
            teacher = self._final("teacher", fold, seed)
            return few_cell(arm, fold, seed, naming=self._naming, choices=choices, teacher=teacher)
        choice = self.choice("none" if arm == _CHECK else arm, fold)
        return None if choice is None else self._training(arm, fold, seed, choice)

    def _long(self, fold: Fold, seed: int) -> Cell | None:
        """As many epochs without a teacher as ours cost."""
        shared = self.choice("none", fold)
        ours, none = (self._done(self._final(arm, fold, seed)) for arm in ("ours", "none"))
        if shared is None or ours is None or none is None:
            return None
        cost = _COSTS[self.device]
        epochs = max(1, int(ours[cost] / none[f"{cost}_per_epoch"]))
        given = arms.arguments(shared, epochs=epochs, patience=0)
        return self._naming.alone("none-long", fold, seed, given)

    def _training(self, arm: str, fold: Fold, seed: int, choice: Choice) -> Cell | None:
        """Name the training that a choice makes; None while what it shares is not chosen."""
        if arm in {"none", _CHECK}:
            engine = "ultralytics" if arm == "none" else "understudy"
            return self._naming.alone(arm, fold, seed, arms.arguments(choice), engine=engine)
        shared = self.choice("none", fold)
        if shared is None:
            return None
        if arm == "teacher":  # all students of a fold have one, whatever their seed
            return self._naming.alone(arm, fold, arms.SEEDS[0], arms.arguments(shared, **choice))
        teacher = self._final("teacher", fold, seed)
        if teacher is None:
            return None
        if arm == "builtin":
            given = arms.arguments(shared, **choice)
            return self._naming.builtin(fold, seed, given, teacher)
        given = arms.arguments(shared)
        return self._naming.ours(arm, fold, seed, given, teacher, section=choice)

    def _timed(self) -> Iterator[Cell]:
        """Name the timing of one fold's models, which is done when nothing else is left."""
        if not {"ours", "ours-int8"} & set(self.wanted):
            return
        fold, seed = self.chosen_folds()[0], arms.SEEDS[0]
        student, teacher = (self._final(arm, fold, seed) for arm in ("ours", "teacher"))
        if student is not None and teacher is not None:
            yield self._naming.latency(student, teacher, fold)

    def _score(self, cell: Cell) -> float | None:
        figures = self._done(cell)
        return None if figures is None else float(figures["inner_map50_95"])

    def _done(self, cell: Cell | None) -> Figures | None:
        return None if cell is None else self.store.figures(cell.key)
