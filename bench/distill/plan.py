"""Which cells there are, as far as the finished ones tell: later ones depend on earlier figures."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from bench.distill import arms
from bench.distill.arms import Arguments, Choice
from bench.distill.cells import Cell, Figures, Inputs, Store
from bench.distill.folds import Fold
from distill_jobs.recipe.distillation import Distillation

_LATENCY_FOLD = 0
# In the order in which they are run.
_TRAINED_ARMS = (
    "teacher",
    "none",
    "builtin",
    "ours",
    "none-long",
    "ours-small",
    "engine-check",
)
_TUNED_ARMS = ("builtin", "ours", "ours-small")


@dataclass(frozen=True)
class Trained:
    """A finished training that the report speaks of.

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
    """

    store: Store
    folds: Sequence[Fold]
    weights: dict[str, str]
    wanted: Collection[str] = arms.ARMS
    only_folds: Collection[int] = (0, 1, 2)
    seeds: Sequence[int] = arms.SEEDS

    def cells(self) -> list[Cell]:
        """Return all cells that can be named by now, each after those it needs."""
        found: dict[str, Cell] = {}
        for cell in self._cells():
            found.setdefault(cell.key, cell)
        return list(found.values())

    def trained(self) -> list[Trained]:
        """Return the finished comparisons' cells that can be named by now."""
        if self._lr0() is None:
            return []
        return [
            one
            for seed in self.seeds
            for arm in self._trained_arms()
            for one in self._comparisons(arm, seed)
        ]

    def choice(self, arm: str) -> Choice | None:
        """Return what an arm's trials chose, None while they are not all done."""
        trials = list(self.trials(arm))
        scores = [self._score(cell) for _, cell in trials]
        known = [score for score in scores if score is not None]
        if not trials or len(known) < len(trials):
            return None
        return trials[known.index(max(known))][0]

    def trials(self, arm: str) -> Iterator[tuple[Choice, Cell]]:
        """Give an arm's trials with their cells; none while what they share is not chosen."""
        spaces = {"none": arms.NONE_SPACE, "builtin": arms.BUILTIN_SPACE}
        ours = {"ours": arms.OURS_SPACE, "ours-small": arms.SMALL_SPACE}
        for number, choice in enumerate({**spaces, **ours}[arm]):
            cell = self._training(
                arm, self.folds[arms.TUNED_ON_FOLD], arms.SEEDS[0], choice, trial=number
            )
            if cell is not None:
                yield choice, cell

    def _cells(self) -> Iterator[Cell]:
        for _, cell in self.trials("none"):
            yield cell
        if self._lr0() is None:
            return
        for arm in self._trained_arms():
            if arm in _TUNED_ARMS:
                yield from self._tuning(arm)
            for seed in self.seeds:
                for one in self._comparisons(arm, seed):
                    yield one.training
                    yield from one.measured.values()
        yield from self._latency()

    def _tuning(self, arm: str) -> Iterator[Cell]:
        yield self._teacher(self.folds[arms.TUNED_ON_FOLD])
        if arm == "ours-small":
            yield self._narrow()
        for _, cell in self.trials(arm):
            yield cell

    def _trained_arms(self) -> list[str]:
        """Return who is trained; the INT8 arm is a precision of ours, and the long one needs it."""
        needs_ours = {"ours", "ours-int8", "none-long"} & set(self.wanted)
        wanted = {"teacher", "none", *self.wanted, *(("ours",) if needs_ours else ())}
        return [arm for arm in _TRAINED_ARMS if arm in wanted]

    def _comparisons(self, arm: str, seed: int) -> Iterator[Trained]:
        numbers = sorted(self.only_folds)
        for number in numbers[:1] if arm == "engine-check" else numbers:
            fold = self.folds[number]
            cell = self._final(arm, fold, seed)
            if cell is not None:
                yield self._measured(arm, fold, seed, cell)

    def _measured(self, arm: str, fold: Fold, seed: int, cell: Cell) -> Trained:
        precisions = ("fp32", "int8") if arm.startswith("ours") else ("fp32",)
        measured = {
            precision: Cell(
                "measure",
                f"{arm}-f{fold.number}-s{seed}-{precision}",
                {
                    "training": cell.key,
                    "precision": precision,
                    "fold": fold.digest,
                    "fold_number": fold.number,
                    "image_side_px": arms.IMAGE_SIDE_PX,
                },
                after=(cell.key,),
            )
            for precision in precisions
        }
        return Trained(arm, fold.number, seed, cell, measured)

    def _final(self, arm: str, fold: Fold, seed: int) -> Cell | None:
        if arm == "teacher":
            return self._teacher(fold)
        if arm == "none-long":
            return self._long(fold, seed)
        if arm == "engine-check":
            return self._engine_check(fold, seed)
        choice = self.choice(arm)
        return None if choice is None else self._training(arm, fold, seed, choice)

    def _teacher(self, fold: Fold) -> Cell:
        """All students of a fold have one teacher, whatever their seed."""
        given = arms.arguments(self._rate())
        return self._cell("teacher", fold, arms.SEEDS[0], "yolov8s.pt", given)

    def _long(self, fold: Fold, seed: int) -> Cell | None:
        """As many epochs without a teacher as ours cost, at one thread's processor time."""
        done = [self._done(self._final(arm, fold, seed)) for arm in ("ours", "none")]
        if done[0] is None or done[1] is None:
            return None
        ours, none = done[0], done[1]
        epochs = max(1, int(ours["cpu_s"] / none["cpu_s_per_epoch"]))
        given = arms.arguments(self._rate(), epochs=epochs, patience=0)
        return self._cell("none-long", fold, seed, "yolov8n.pt", given)

    def _engine_check(self, fold: Fold, seed: int) -> Cell:
        """Our engine without a teacher, trained as the arm "none" is."""
        given = arms.arguments(self._rate())
        return self._cell("engine-check", fold, seed, "yolov8n.pt", given, engine="understudy")

    def _training(
        self, arm: str, fold: Fold, seed: int, choice: Choice, *, trial: int | None = None
    ) -> Cell | None:
        """Name the training of an arm with a choice; None while what it shares is not chosen."""
        limits = {} if trial is None else {"epochs": arms.TRIAL_EPOCHS, "patience": 0}
        label = arm if trial is None else f"{arm}-trial{trial}"
        if arm == "none":
            return self._cell(label, fold, seed, "yolov8n.pt", arms.arguments(**choice, **limits))
        if self._lr0() is None:
            return None
        teacher = self._teacher(fold).key
        if arm == "builtin":
            given = arms.arguments(self._rate(), **limits, **choice)
            return self._cell(label, fold, seed, "yolov8n.pt", given, teacher=teacher)
        return self._cell(
            label,
            fold,
            seed,
            "narrow" if arm == "ours-small" else "yolov8n.pt",
            arms.arguments(self._rate(), **limits),
            teacher=teacher,
            engine="understudy",
            # With its defaults: should they ever change, so does the cell.
            distillation=Distillation.model_validate(choice).model_dump(by_alias=True),
        )

    def _cell(
        self, name: str, fold: Fold, seed: int, start: str, given: Arguments, **more: object
    ) -> Cell:
        inputs: Inputs = {
            "engine": "ultralytics",
            "teacher": None,
            "distillation": None,
            **more,
            "fold": fold.digest,
            "fold_number": fold.number,
            "seed": seed,
            "arguments": given,
            "image_side_px": arms.IMAGE_SIDE_PX,
            **self._start(start),
        }
        after = [inputs["teacher"], inputs["weights"].get("cell")]
        return Cell(
            "train",
            f"{name}-f{fold.number}-s{seed}",
            inputs,
            after=tuple(key for key in after if key is not None),
        )

    def _start(self, start: str) -> Inputs:
        if start == "narrow":
            return {"weights": {"cell": self._narrow().key}}
        return {"weights": {"file": start, "sha256": self.weights[start]}}

    def _narrow(self) -> Cell:
        """Cut the small student out of the COCO weights."""
        inputs = {
            **self._start("yolov8n.pt"),
            "max_parameters": arms.MAX_SMALL_PARAMETERS,
            "classes": len(self.folds[0].class_names),
            "image_side_px": arms.IMAGE_SIDE_PX,
        }
        return Cell("narrow", "yolov8n", inputs)

    def _latency(self) -> Iterator[Cell]:
        """Time the models of one fold, when nothing else is left to be done."""
        if not {"ours", "ours-int8"} & set(self.wanted):
            return
        fold, seed = self.folds[_LATENCY_FOLD], arms.SEEDS[0]
        ours = self._final("ours", fold, seed)
        if ours is not None:
            keys = {"student": ours.key, "teacher": self._teacher(fold).key}
            inputs = {
                **keys,
                "fold": fold.digest,
                "fold_number": fold.number,
                "sides_px": [320, 640],
            }
            yield Cell("latency", "ours", inputs, after=tuple(keys.values()))

    def _lr0(self) -> float | None:
        choice = self.choice("none")
        return None if choice is None else float(choice["lr0"])

    def _rate(self) -> float:
        rate = self._lr0()
        if rate is None:
            raise RuntimeError("the shared learning rate is not chosen yet")
        return rate

    def _score(self, cell: Cell) -> float | None:
        figures = self._done(cell)
        return None if figures is None else float(figures["inner_map50_95"])

    def _done(self, cell: Cell | None) -> Figures | None:
        return None if cell is None else self.store.figures(cell.key)
