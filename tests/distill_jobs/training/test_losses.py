import math

import pytest
import torch

from distill_jobs.training.losses.boxes import giou_box_distillation
from distill_jobs.training.losses.classes import binary_class_distillation


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_a_process_whose_followers_left_divides_by_its_own_sum(monkeypatch):
    """QAT runs in the first process, in whose environment `torchrun` still counts the others."""
    from distill_jobs.training.losses.divisor import shared_sum

    monkeypatch.setenv("WORLD_SIZE", "2")

    assert float(shared_sum(torch.tensor([0.2]))) == 1.0


def test_class_loss_of_a_hand_computed_case():
    # One image, two classes, two anchors; probabilities by [class][anchor].
    student = torch.tensor([[[logit(0.5), logit(0.2)], [logit(0.1), logit(0.5)]]])
    teacher = torch.tensor([[[logit(0.9), logit(0.2)], [logit(0.1), logit(0.8)]]])
    # Equal pairs weigh nothing. |0.9-0.5| * BCE(0.5; 0.9) = 0.4 ln 2; |0.8-0.5| * ln 2.
    expected = (0.4 + 0.3) * math.log(2) / (0.9 + 0.8)

    assert binary_class_distillation(student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_classes_that_the_teacher_does_not_know_take_no_part():
    # As above, with a third class in which the two differ most and the teacher only guesses.
    student = torch.tensor(
        [[[logit(0.5), logit(0.2)], [logit(0.9), logit(0.9)], [logit(0.1), logit(0.5)]]]
    )
    teacher = torch.tensor(
        [[[logit(0.9), logit(0.2)], [-30.0, -30.0], [logit(0.1), logit(0.8)]]], requires_grad=True
    )
    student.requires_grad_()
    known = torch.tensor([True, False, True])

    loss = binary_class_distillation(student, teacher, known)
    loss.backward()

    assert loss.item() == pytest.approx((0.4 + 0.3) * math.log(2) / (0.9 + 0.8), rel=1e-5)
    assert student.grad is not None
    assert (student.grad[0, 1] == 0).all()


def test_a_score_of_nothing_may_be_minus_infinity():
    student = torch.zeros(1, 1, 1, requires_grad=True)

    loss = binary_class_distillation(student, torch.full((1, 1, 1), -math.inf))
    loss.backward()

    assert loss.item() == pytest.approx(0.5 * math.log(2), rel=1e-5)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_box_loss_of_a_hand_computed_case():
    student = torch.tensor([[[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0], [5.0, 5.0, 6.0, 6.0]]])
    teacher = torch.tensor([[[1.0, 0.0, 3.0, 2.0], [2.0, 0.0, 3.0, 1.0], [5.0, 5.0, 6.0, 6.0]]])
    weights = torch.tensor([[0.9, 0.6, 0.5]])
    # First: IoU 2/6, hull 6 = union: GIoU 1/3. Second: IoU 0, hull 3, union 2: GIoU -1/3. Third: 1.
    expected = (0.9 * (1 - 1 / 3) + 0.6 * (1 + 1 / 3) + 0.0) / 2.0

    loss = giou_box_distillation(student, teacher, weights)

    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_both_are_zero_where_student_and_teacher_agree():
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[[0.0, 0.0, 4.0, 3.0]] * 5] * 2)

    assert binary_class_distillation(logits, logits.clone()).item() == 0.0
    assert giou_box_distillation(boxes, boxes.clone(), torch.ones(2, 5)).item() == pytest.approx(
        0.0, abs=1e-6
    )


def test_gradient_reaches_the_student_and_not_the_teacher():
    student = torch.zeros(1, 2, 3, requires_grad=True)
    teacher = torch.ones(1, 2, 3, requires_grad=True)
    student_boxes = torch.tensor([[[0.0, 0.0, 2.0, 2.0]] * 3], requires_grad=True)
    teacher_boxes = torch.tensor([[[0.5, 0.0, 2.5, 2.0]] * 3], requires_grad=True)

    weights = teacher.sigmoid().amax(dim=1)
    loss = binary_class_distillation(student, teacher) + giou_box_distillation(
        student_boxes, teacher_boxes, weights
    )
    loss.backward()

    assert student.grad is not None
    assert (student.grad < 0).all()  # a step against the gradient raises the scores
    assert student_boxes.grad is not None
    assert student_boxes.grad.abs().sum() > 0
    assert teacher.grad is None
    assert teacher_boxes.grad is None


def test_an_empty_image_neither_divides_by_zero_nor_blows_up():
    teacher = torch.full((1, 2, 4), -20.0)
    student = torch.full((1, 2, 4), -3.0, requires_grad=True)
    boxes = torch.zeros(1, 4, 4)  # degenerate, as an untrained head may give

    classes = binary_class_distillation(student, teacher)
    box = giou_box_distillation(boxes, boxes + 1, teacher.sigmoid().amax(dim=1))
    classes.backward()

    assert 0 < classes.item() < 0.1
    assert box.item() == pytest.approx(0.0, abs=1e-6)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()
