"""The arms that know a quarter of the labels, as cells."""

from collections.abc import Mapping
from enum import StrEnum

from bench.distill import arms
from bench.distill.arms import Choice
from bench.distill.cells import Cell
from bench.distill.folds import Fold
from bench.distill.naming import Naming


class Rest(StrEnum):
    """What a student gets of the training images whose labels are taken away."""

    NOTHING = "nothing"
    IMAGES = "images"
    TEACHERS_BOXES = "teacher's boxes"


def few_cell(
    arm: str,
    fold: Fold,
    seed: int,
    *,
    naming: Naming,
    choices: Mapping[str, Choice | None],
    teacher: Cell | None,
) -> Cell | None:
    """Name one's training in a fold; None while what it takes over is not known.

    Args:
        arm: One of `arms.FEW_ARMS`.
        fold: Which.
        seed: Of the training.
        naming: Names it.
        choices: What "none", "builtin" and "ours" chose in the fold.
        teacher: The fold's.
    """
    shared, builtin, ours = (choices[name] for name in ("none", "builtin", "ours"))
    if shared is None or builtin is None or ours is None or teacher is None:
        return None
    alone = {"epochs": arms.FEW_EPOCHS, "patience": arms.FEW_PATIENCE}
    nothing = {"rest": Rest.NOTHING.value, "teacher": None}
    if arm == "few-none":
        return naming.few(arm, fold, seed, arms.arguments(shared, **alone), labels=nothing)
    if arm == "few-builtin":
        given = arms.arguments(shared, **alone, **builtin)
        return naming.few(arm, fold, seed, given, labels=nothing, teacher=teacher.key)
    given = arms.arguments(shared)
    if arm == "few-pseudo":
        told = {"rest": Rest.TEACHERS_BOXES.value, "teacher": teacher.key}
        return naming.few(arm, fold, seed, given, labels=told)
    bare = {"rest": Rest.IMAGES.value, "teacher": None}
    return naming.few(arm, fold, seed, given, labels=bare, teacher=teacher.key, section=ours)
