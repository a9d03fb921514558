"""The arms, what each of them may tune, and what they all share."""

from collections.abc import Mapping, Sequence
from typing import Any

IMAGE_SIDE_PX = 320
SEEDS = (0,)
EPOCHS = 20
PATIENCE = 5
# So many in each fold for every arm that tunes: whole trainings, judged on that fold's inner part.
# The chosen one is the fold's model.
TRIALS = 3
MAX_SMALL_PARAMETERS = 1_700_000

Arguments = dict[str, Any]
Choice = Mapping[str, Any]

# Ultralytics' own names. `nbs` = `batch`: weights are updated after every batch.
SHARED: Arguments = {
    "batch": 8,
    "optimizer": "AdamW",
    "lrf": 0.01,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "warmup_epochs": 1.0,
    "warmup_bias_lr": 0.0,
    "fliplr": 0.5,
    "scale": 0.5,
    "cos_lr": False,
}

# What the student without a teacher tunes, a fold's other arms take over: it is the one that gains.
# Four earlier trials of ten epochs on fold 0 with mosaic, by rate: 0.0005 62.4, 0.001 62.5, 0.002
# 61.5, 0.004 60.9 of inner mAP50-95. All stood still until mosaic closed: patience would not wait.
NONE_SPACE: Sequence[Choice] = (
    {"lr0": 0.0005, "mosaic": 1.0},
    {"lr0": 0.0005, "mosaic": 0.0},
    {"lr0": 0.001, "mosaic": 0.0},
)

# The teacher is no arm: whoever has one has the same. At the students' first rate of 0.001 it fell
# back to nothing in its second and fourth epoch.
TEACHER_SPACE: Sequence[Choice] = (
    {"lr0": 0.00025, "patience": 0},
    {"lr0": 0.0005, "patience": 0},
)

# Ultralytics' default is 6.
BUILTIN_SPACE: Sequence[Choice] = (
    {"dis": 1.5},
    {"dis": 6.0},
    {"dis": 24.0},
)

# `distillation:` of a job file: the product's default, then more and more of where boxes lie, since
# teacher and student differ in mAP50-95 more than in mAP50. Gradients of COCO's yolov8n from
# yolov8s at weight 1, over that of its own loss: class 1.46, box 0.09, dfl 0.49, cwd 0.11,
# features 0.05, pkd 0.02 (16 images, no validation involved).
OURS_SPACE: Sequence[Choice] = (
    {"losses": {"class": 1.0, "box": 2.0}},
    {"losses": {"class": 1.0, "box": 6.0, "dfl": 0.5, "features": 6.0}},
    {
        "losses": {"class": 1.0, "box": 12.0, "dfl": 1.0, "features": 6.0},
        "schedule": {"decay": "none"},
    },
)
SMALL_SPACE: Sequence[Choice] = OURS_SPACE

_LIMITS: Mapping[str, float] = {"mosaic": 1.0}

SPACES: Mapping[str, Sequence[Choice]] = {
    "none": NONE_SPACE,
    "teacher": TEACHER_SPACE,
    "builtin": BUILTIN_SPACE,
    "ours": OURS_SPACE,
    "ours-small": SMALL_SPACE,
}

# What no cell of the store tells.
DROPPED: Sequence[str] = (
    "students' trials of ten epochs on fold 0 without patience, mosaic 1: they stood still until "
    "it closed; the rates that are tried now come from them, in folds 1 and 2 as well, where some "
    "of fold 0's training images are held out",
    "a teacher on fold 0 at the students' lr0 0.001 with mosaic 1: ended by hand after 7 epochs, "
    "whose inner mAP50-95 were .30 .02 .18 .00 .49 .57 .57; its rates come from that",
)

# "engine-check" trains our engine without a teacher on one fold: it must do as ultralytics' does.
ARMS = ("none", "none-long", "builtin", "ours", "ours-int8", "ours-small", "engine-check")

# Where a quarter of the labels is known, and the teacher knew them all. Nobody tunes again: each
# takes what its counterpart chose in the fold. Who trains on the quarter alone has more epochs, for
# as many steps, and more patience; the teacher's boxes are labels of the rest, or its answers are.
FEW_ARMS = ("few-none", "few-builtin", "few-pseudo", "few-ours")
FEW_EPOCHS = 60
FEW_PATIENCE = 15


def at_edges(arm: str, choice: Choice) -> list[str]:
    """Return what of a choice is the least or the greatest that its arm tried.

    What lies beyond was not looked at, unless nothing can: no rate or weight is below 0, and mosaic
    is not above 1.
    """
    tried = [_numbers(one) for one in SPACES[arm]]
    chosen = _numbers(choice)
    edges = []
    for name in sorted({name for one in tried for name in one}):
        values = [one.get(name, 0.0) for one in tried]
        value = chosen.get(name, 0.0)
        beyond = value not in {0.0, _LIMITS.get(name)}
        if beyond and min(values) != max(values) and value in {min(values), max(values)}:
            edges.append(f"{name} {value:g}")
    return edges


def _numbers(choice: Choice) -> dict[str, float]:
    """Return a choice's numbers by name; a loss that it does not name weighs nothing."""
    own = {name: float(one) for name, one in choice.items() if isinstance(one, int | float)}
    return own | {name: float(one) for name, one in choice.get("losses", {}).items()}


def arguments(shared: Choice, **more: Any) -> Arguments:
    """Return a training's arguments, by ultralytics' names.

    Args:
        shared: What the student without a teacher chose: `lr0` and `mosaic`.
        more: Of one arm alone; `patience` 0: it never stops early.
    """
    given = {"epochs": EPOCHS, "patience": PATIENCE, **SHARED, **shared, **more}
    return {**given, "close_mosaic": given["epochs"] // 4}
