"""Cells by what decides their outcome."""

from dataclasses import dataclass

from bench.distill import arms
from bench.distill.arms import Arguments, Choice
from bench.distill.cells import Cell, Inputs
from bench.distill.folds import Fold
from distill_jobs.recipe.distillation import Distillation

_STUDENT, _TEACHER = "yolov8n.pt", "yolov8s.pt"


@dataclass(frozen=True)
class Naming:
    """Names cells.

    Attributes:
        weights: Digests of the COCO weights, by file name.
        device: What trains: "cpu" or "cuda".
    """

    weights: dict[str, str]
    device: str = "cpu"

    def alone(
        self, arm: str, fold: Fold, seed: int, given: Arguments, *, engine: str = "ultralytics"
    ) -> Cell:
        """Name a training without a teacher."""
        start = _TEACHER if arm == "teacher" else _STUDENT
        return self._training(arm, fold, seed, given, self._file(start), engine=engine)

    def builtin(self, fold: Fold, seed: int, given: Arguments, teacher: Cell) -> Cell:
        """Name a training by ultralytics' own distillation; `dis` is among the arguments."""
        start = self._file(_STUDENT)
        return self._training("builtin", fold, seed, given, start, teacher=teacher.key)

    def ours(
        self, arm: str, fold: Fold, seed: int, given: Arguments, teacher: Cell, *, section: Choice
    ) -> Cell:
        """Name a training of ours; `section` is a job file's `distillation:`."""
        start = {"cell": self.narrow(fold).key} if arm == "ours-small" else self._file(_STUDENT)
        return self._training(
            arm,
            fold,
            seed,
            given,
            start,
            teacher=teacher.key,
            engine="understudy",
            distillation=_learnt(section),
        )

    def few(
        self,
        arm: str,
        fold: Fold,
        seed: int,
        given: Arguments,
        *,
        labels: Inputs,
        teacher: str | None = None,
        section: Choice | None = None,
    ) -> Cell:
        """Name a training with few labels.

        Args:
            arm: One of `arms.FEW_ARMS`.
            fold: Whose labels are taken away.
            seed: Of the training.
            given: Arguments by ultralytics' names.
            labels: `rest`, and `teacher`: the key of whoever's boxes are labels, or None.
            teacher: Key of whom the training asks.
            section: A job file's `distillation:`; None: ultralytics trains.
        """
        ours = {} if section is None else {"engine": "understudy", "distillation": _learnt(section)}
        start = self._file(_STUDENT)
        more = {**ours, "teacher": teacher, "labels": labels}
        return self._training(arm, fold, seed, given, start, **more)

    def narrow(self, fold: Fold) -> Cell:
        """Name the cutting of a fold's small student out of the COCO weights."""
        inputs = {
            "weights": self._file(_STUDENT),
            "max_parameters": arms.MAX_SMALL_PARAMETERS,
            "image_side_px": arms.IMAGE_SIDE_PX,
            **_of(fold),
        }
        return Cell("narrow", f"yolov8n-f{fold.number}", inputs)

    def measured(self, training: Cell, fold: Fold, precision: str) -> Cell:
        """Name the measuring of a model on the held-out part."""
        inputs = {
            "training": training.key,
            "precision": precision,
            "image_side_px": arms.IMAGE_SIDE_PX,
            **_of(fold),
        }
        return Cell("measure", f"{training.name}-{precision}", inputs, after=(training.key,))

    def latency(self, student: Cell, teacher: Cell, fold: Fold) -> Cell:
        """Name the timing of a student and its teacher."""
        keys = {"student": student.key, "teacher": teacher.key}
        inputs = {**keys, **_of(fold), "sides_px": [arms.IMAGE_SIDE_PX, 2 * arms.IMAGE_SIDE_PX]}
        return Cell("latency", "ours", inputs, after=tuple(keys.values()))

    def _training(
        self,
        arm: str,
        fold: Fold,
        seed: int,
        given: Arguments,
        start: Inputs,
        **more: object,
    ) -> Cell:
        inputs: Inputs = {
            "engine": "ultralytics",
            "teacher": None,
            "distillation": None,
            **more,
            **_of(fold),
            "seed": seed,
            "arguments": given,
            "image_side_px": arms.IMAGE_SIDE_PX,
            "device": self.device,
            "weights": start,
        }
        labelled_by = inputs.get("labels", {}).get("teacher")
        needed = (inputs["teacher"], start.get("cell"), labelled_by)
        after = tuple(key for key in needed if key is not None)
        return Cell("train", f"{arm}-f{fold.number}-s{seed}", inputs, after=after)

    def _file(self, name: str) -> Inputs:
        return {"file": name, "sha256": self.weights[name]}


def _learnt(section: Choice) -> Inputs:
    """Return a `distillation:` with its defaults: should they ever change, so does the cell."""
    return Distillation.model_validate(section).model_dump(by_alias=True)


def _of(fold: Fold) -> Inputs:
    return {"fold": fold.digest, "fold_number": fold.number}
