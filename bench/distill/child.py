"""`python -m bench.distill.child STORE KEY`: do one cell, in a process of its own."""

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.distill.cells import Figures, Inputs, Store, alone, empty
from bench.distill.folds import Fold, folds
from bench.provenance import PROJECT_ROOT, provenance
from distill_jobs.checkpoints import digest
from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import data_root, offline
from distill_jobs.files import write_json

_RAISED = "raised"


def main(store: Store, key: str) -> None:
    """Do a cell that its store describes, unless it is done.

    Args:
        store: Where it lies.
        key: Its folder's name.
    """
    folder = store.folder(key)
    with alone(folder):
        if store.figures(key) is not None:
            return
        described = json.loads((folder / "cell.json").read_text(encoding="utf-8"))
        if not _goes_on(described["inputs"], folder):
            empty(folder)
        about = provenance(f"python -m bench.distill.child STORE {key}")
        began, began_s = about.pop("finished"), time.monotonic()
        try:
            figures = _do(store, described["kind"], described["inputs"], folder)
        except BaseException:
            (folder / _RAISED).touch()
            raise
        about |= {
            "began": began,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_s": round(time.monotonic() - began_s, 1),
            "load_average": [round(load, 1) for load in os.getloadavg()],
        }
        write_json(folder / "done.json", {"figures": figures, "about": about})


def _goes_on(inputs: Inputs, folder: Path) -> bool:
    """Whether a killed attempt is taken up: our engine resumes exactly, ultralytics' does not.

    An attempt that ended by itself, with an error, is begun anew.
    """
    return inputs.get("engine") == "understudy" and not (folder / _RAISED).exists()


def _do(store: Store, kind: str, inputs: Inputs, here: Path) -> Figures:
    offline()
    import cv2  # noqa: PLC0415 - after offline()
    import torch  # noqa: PLC0415 - likewise
    from ultralytics.utils import SETTINGS  # noqa: PLC0415 - likewise

    # Whatever is installed: this process's settings are its own, and no tracker costs it time.
    SETTINGS.update(dict.fromkeys(("mlflow", "tensorboard", "wandb", "clearml", "comet"), False))
    if kind != "latency":
        torch.set_num_threads(1)
    cv2.setNumThreads(1)
    fold = _fold(inputs)
    if kind == "narrow":
        from bench.distill.narrowing import narrow_cell  # noqa: PLC0415 - after offline()

        return narrow_cell(inputs, fold, weights_of(store, inputs), here)
    if kind == "train":
        from bench.distill.training import train_cell  # noqa: PLC0415 - after offline()

        teacher = inputs["teacher"]
        taught_by = store.folder(teacher) / "model.pt" if teacher else None
        weights = weights_of(store, inputs)
        fold = _labels_left(store, inputs, fold, here)
        return train_cell(inputs, fold, weights=weights, teacher=taught_by, here=here)
    if kind == "measure":
        from bench.distill.measuring import measure_cell  # noqa: PLC0415 - after offline()

        return measure_cell(inputs, fold, store.folder(inputs["training"]) / "model.pt", here)
    from bench.distill.latency import latency_cell  # noqa: PLC0415 - after offline()

    return latency_cell(
        inputs,
        fold,
        student=store.folder(inputs["student"]) / "model.pt",
        teacher=store.folder(inputs["teacher"]) / "model.pt",
        here=here,
    )


def _labels_left(store: Store, inputs: Inputs, fold: Fold, here: Path) -> Fold:
    """Return the fold with as many labels as the cell may know."""
    if (labels := inputs.get("labels")) is None:
        return fold
    from bench.distill.few_arms import Rest  # noqa: PLC0415 - after offline()
    from bench.distill.few_labels import few_labelled  # noqa: PLC0415 - likewise

    told_by = store.folder(labels["teacher"]) / "model.pt" if labels["teacher"] else None
    rest, side_px = Rest(labels["rest"]), int(inputs["image_side_px"])
    return few_labelled(fold, rest, teacher=told_by, side_px=side_px, folder=here / "told")


def weights_of(store: Store, inputs: Inputs) -> Path:
    """Return the file that a training starts from.

    Raises:
        ValueError: It is not the file that was planned with.
    """
    start = inputs["weights"]
    if "cell" in start:
        return store.folder(str(start["cell"])) / "model.pt"
    path = data_root() / "weights" / str(start["file"])
    if digest(path) != start["sha256"]:
        raise ValueError(f"{path}: not the file that the benchmark was planned with")
    return path


def bccd_folds() -> tuple[Fold, ...]:
    """Return BCCD's folds."""
    return folds(Dataset.load(data_root() / "bccd" / "data.yaml"))


def _fold(inputs: Inputs) -> Fold:
    fold = bccd_folds()[inputs["fold_number"]]
    if fold.digest != inputs["fold"]:
        raise ValueError("the data set is not the one that the benchmark was planned with")
    return fold


def check_origin() -> None:
    """Check that this benchmark and the product under test are of one working tree.

    Raises:
        RuntimeError: An installed copy was imported instead.
    """
    import distill_jobs  # noqa: PLC0415 - where it came from is the question

    origin = Path(distill_jobs.__file__ or "").resolve()
    if not origin.is_relative_to(PROJECT_ROOT.resolve()):
        raise RuntimeError(f"distill_jobs comes from {origin}: run from the root of {PROJECT_ROOT}")


if __name__ == "__main__":
    check_origin()
    main(Store(Path(sys.argv[1])), sys.argv[2])
