"""What one teacher's answer costs the student, loss by loss."""

from collections.abc import Collection, Iterator

import torch
from torch import nn

from distill_jobs.recipe.distillation import Losses
from distill_jobs.training.answers import BoxesAnswer, DenseAnswer
from distill_jobs.training.assignment import as_head_output
from distill_jobs.training.heads import HeadOutput, HeadShape, Reading
from distill_jobs.training.losses.boxes import giou_box_distillation
from distill_jobs.training.losses.channels import channel_wise_distillation
from distill_jobs.training.losses.classes import binary_class_distillation
from distill_jobs.training.losses.features import score_weighted_feature_distillation
from distill_jobs.training.losses.localisation import localisation_distillation
from distill_jobs.training.losses.pearson import pearson_distillation
from distill_jobs.training.projectors import project

# What curves and logs call each loss, and what the job file does.
KEYS = {
    "class_distill": "class",
    "box_distill": "box",
    "dfl_distill": "dfl",
    "cwd_distill": "cwd",
    "feature_distill": "features",
    "pkd_distill": "pkd",
}
DENSE_ONLY = ("dfl_distill", "cwd_distill", "feature_distill", "pkd_distill")
OF_FEATURES = ("cwd_distill", "feature_distill", "pkd_distill")

_Losses = dict[str, torch.Tensor]


def weights_by_name(losses: Losses) -> dict[str, float]:
    """Return the weights above 0 by the names that curves show: "class_distill" and so on."""
    given = losses.model_dump(by_alias=True)
    return {name: given[key] for name, key in KEYS.items() if given[key] > 0}


def losses_of_boxes(
    learnt: Reading, answer: BoxesAnswer, student: HeadShape, wanted: Collection[str]
) -> _Losses:
    """Return what finished boxes teach: classes and positions, in each branch of the student.

    Args:
        learnt: The student's predictions.
        answer: Of the teacher.
        student: Shape of the student's head.
        wanted: Names of losses; those of `DENSE_ONLY` are left out.
    """
    wanted = [name for name in wanted if name not in DENSE_ONLY]
    centres, strides = learnt.centres_px, student.strides
    taught = as_head_output(answer, learnt.one_to_many, centres, strides)
    pairs = [(learnt.one_to_many, taught)]
    if learnt.one_to_one is not None:
        taught = as_head_output(answer, learnt.one_to_one, centres, strides, one_to_one=True)
        pairs.append((learnt.one_to_one, taught))
    return _mean([_losses_of_branch(*pair, answer.known, wanted, 1.0) for pair in pairs])


def losses_of_head(
    learnt: Reading, answer: DenseAnswer, wanted: Collection[str], temperature: float
) -> _Losses:
    """Return what a dense head teaches, like branch to like branch.

    Where both have a one-to-one branch too, each loss is the mean of the two branches'; else the
    one-to-many branches alone are compared.

    Args:
        learnt: The student's predictions.
        answer: Of the teacher.
        wanted: Names of losses; those of `OF_FEATURES` are left out.
        temperature: Of the distances' distributions.
    """
    pairs = [(learnt.one_to_many, answer.head)]
    if learnt.one_to_one is not None and answer.one_to_one is not None:
        pairs.append((learnt.one_to_one, answer.one_to_one))
    return _mean([_losses_of_branch(*pair, answer.known, wanted, temperature) for pair in pairs])


def losses_of_features(
    learnt: Reading,
    answer: DenseAnswer,
    wanted: Collection[str],
    *,
    projectors: nn.ModuleDict,
    teacher: int,
    deepest_only: bool,
    channel_temperature: float,
) -> _Losses:
    """Return what the features that feed the head teach, summed over levels.

    Args:
        learnt: The student's predictions.
        answer: Of the teacher.
        wanted: Names of losses; those of `OF_FEATURES` are looked at.
        projectors: From the student's widths to the teachers'.
        teacher: Place of this one in the list of teachers.
        deepest_only: Whether the coarsest level alone is read.
        channel_temperature: Of channel-wise distillation.
    """
    wanted = [name for name in OF_FEATURES if name in wanted]
    total = {name: torch.zeros((), device=learnt.centres_px.device) for name in wanted}
    if not wanted:
        return total
    levels = range(len(learnt.features))
    scores = list(_scores_by_level(answer))
    for level in levels[-1:] if deepest_only else levels:
        ours = project(projectors, teacher, level, learnt.features[level])
        theirs = answer.features[level].float()
        for name in wanted:
            if name == "cwd_distill":
                loss = channel_wise_distillation(ours, theirs, temperature=channel_temperature)
            elif name == "feature_distill":
                loss = score_weighted_feature_distillation(ours, theirs, scores[level])
            else:
                loss = pearson_distillation(ours, theirs)
            total[name] = total[name] + loss
    return total


def _losses_of_branch(
    learnt: HeadOutput,
    taught: HeadOutput,
    known: torch.Tensor,
    wanted: Collection[str],
    temperature: float,
) -> _Losses:
    losses: _Losses = {}
    sure = _highest_score(taught, known)
    if "class_distill" in wanted:
        losses["class_distill"] = binary_class_distillation(learnt.logits, taught.logits, known)
    if "box_distill" in wanted:
        losses["box_distill"] = giou_box_distillation(
            learnt.boxes_xyxy_px, taught.boxes_xyxy_px, sure
        )
    if "dfl_distill" in wanted and learnt.distances is not None and taught.distances is not None:
        losses["dfl_distill"] = localisation_distillation(
            learnt.distances, taught.distances, sure, temperature=temperature
        )
    return losses


def _highest_score(taught: HeadOutput, known: torch.Tensor) -> torch.Tensor:
    """Return how sure a teacher is of an object at each anchor, float [N, A]."""
    return taught.logits[:, known].sigmoid().amax(dim=1)


def _scores_by_level(answer: DenseAnswer) -> Iterator[torch.Tensor]:
    """Give the teacher's highest scores as maps, float [N, H_l, W_l]."""
    sizes = [tuple(features.shape[-2:]) for features in answer.features]
    scores = _highest_score(answer.head, answer.known)
    parts = scores.split([height * width for height, width in sizes], dim=1)
    for part, (height, width) in zip(parts, sizes, strict=True):
        yield part.unflatten(1, (height, width))


def _mean(branches: list[_Losses]) -> _Losses:
    return {name: torch.stack([losses[name] for losses in branches]).mean() for name in branches[0]}
