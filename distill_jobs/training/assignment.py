"""A boxes-only teacher's detections, spread over the student's anchors."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence
from ultralytics.utils.tal import TaskAlignedAssigner

from distill_jobs.training.answers import BoxesAnswer
from distill_jobs.training.heads import HeadOutput

_ONE_TO_MANY = (10, 10)
_ONE_TO_ONE = (7, 1)


@dataclass(frozen=True)
class _Padded:
    """Detections of all images: float [N, K, 4], [N, K, 1], int64 [N, K, 1], bool [N, K, 1]."""

    boxes: torch.Tensor
    scores: torch.Tensor
    class_ids: torch.Tensor
    there: torch.Tensor


def as_head_output(
    answer: BoxesAnswer,
    student: HeadOutput,
    centres_px: torch.Tensor,
    strides: Sequence[int],
    *,
    one_to_one: bool = False,
) -> HeadOutput:
    """Write detections as a dense head would have given them at the student's anchors.

    The student's own task-aligned assignment, which its ground truth goes through too, chooses the
    anchors that answer for a detection, ten or (`one_to_one`) one of them. With the detection's
    score q and how well anchor a is aligned with it, t̂_a from 0 to 1 (the best anchor's is its IoU
    with the box), the anchor's target is q · t̂_a in the detection's class and the detection's
    box; all other targets are 0.

    Feng et al., "TOOD: Task-aligned One-stage Object Detection", ICCV 2021, section 3.2, with the
    teacher's score in place of the label's 1.

    Args:
        answer: Of the teacher.
        student: The branch that is to learn from it.
        centres_px: float [A, 2], the anchors.
        strides: Of the student's levels, pixels.
        one_to_one: Whether `student` is a one-to-one branch.

    Returns:
        Logits (minus infinity where the target is 0) and boxes; no distances, no gradients.
    """
    logits = student.logits.detach()
    padded = _padded(answer, logits)
    topk, topk2 = _ONE_TO_ONE if one_to_one else _ONE_TO_MANY
    assigner = TaskAlignedAssigner(
        topk=topk,
        topk2=topk2,
        num_classes=logits.shape[1],
        alpha=0.5,
        beta=6.0,
        stride=list(strides),
    )
    _, boxes, aligned, _, chosen = assigner(
        logits.sigmoid().permute(0, 2, 1),
        student.boxes_xyxy_px.detach(),
        centres_px,
        padded.class_ids,
        padded.boxes,
        padded.there,
    )
    targets = aligned.permute(0, 2, 1)
    if padded.scores.shape[1]:
        targets = targets * padded.scores[..., 0].gather(1, chosen.long()).unsqueeze(1)
    return HeadOutput(logits=torch.logit(targets), boxes_xyxy_px=boxes)


def _padded(answer: BoxesAnswer, like: torch.Tensor) -> _Padded:
    """Bring all images to as many detections as the fullest one has."""
    boxes = pad_sequence(list(answer.boxes_xyxy_px), batch_first=True).to(like)
    scores = pad_sequence(list(answer.scores), batch_first=True).to(like)
    class_ids = pad_sequence(list(answer.class_ids), batch_first=True).to(like.device)
    flat = (boxes[..., 2:] <= boxes[..., :2]).any(dim=2)
    return _Padded(
        boxes=boxes,
        scores=scores.unsqueeze(2),
        class_ids=class_ids.unsqueeze(2),
        there=((scores > 0) & ~flat).unsqueeze(2),
    )
