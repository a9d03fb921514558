import math

import pytest
import torch

from distill_jobs.training.losses.localisation import localisation_distillation
from distill_jobs.training.losses.softmax import softmax_distillation

# Of (3/4, 1/4) from (1/2, 1/2).
DIVERGENCE = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)


@pytest.mark.parametrize("temperature", [1.0, 10.0])
def test_localisation_loss_of_a_hand_computed_case(temperature):
    # reg_max 2, so four sides of two bins: the teacher's first side is (3/4, 1/4) once its logits
    # are divided by T, all others are even. The second anchor agrees.
    student = torch.zeros(1, 8, 2)
    teacher = torch.zeros(1, 8, 2)
    teacher[0, 0, 0] = temperature * math.log(3)
    weights = torch.tensor([[0.9, 0.6]])
    expected = temperature**2 * 0.9 * DIVERGENCE / 4 / (0.9 + 0.6)

    loss = localisation_distillation(student, teacher, weights, temperature=temperature)

    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_bins_belong_to_their_side():
    # Sides come one after the other: bins 0 and 1 are the left's, 2 and 3 the top's.
    student, teacher = torch.zeros(1, 8, 1), torch.zeros(1, 8, 1)
    teacher[0, 2:4] = 5.0  # both bins of one side: still even

    loss = localisation_distillation(student, teacher, torch.ones(1, 1), temperature=1.0)

    assert loss.item() == pytest.approx(0, abs=1e-7)


def test_a_teacher_that_sees_little_weighs_little():
    student, teacher = torch.zeros(1, 8, 1), torch.zeros(1, 8, 1)
    teacher[0, 0, 0] = math.log(3)

    loss = localisation_distillation(student, teacher, torch.full((1, 1), 0.2), temperature=1.0)

    assert loss.item() == pytest.approx(0.2 * DIVERGENCE / 4, rel=1e-4)  # divided by 1, not 0.2


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_softmax_loss_of_a_hand_computed_case(temperature):
    student = torch.zeros(2, 2)
    teacher = torch.tensor([[temperature * math.log(3), 0.0], [1.0, 1.0]])
    expected = temperature**2 * DIVERGENCE / 2  # the second image agrees

    loss = softmax_distillation(student, teacher, temperature=temperature)

    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_equal_distributions_cost_nothing():
    logits = torch.randn(2, 64, 5, generator=torch.Generator().manual_seed(0))

    localisation = localisation_distillation(logits, logits, torch.ones(2, 5), temperature=10.0)
    classes = softmax_distillation(logits[..., 0], logits[..., 0] + 3, temperature=4.0)

    assert localisation.item() == pytest.approx(0, abs=1e-5)
    assert classes.item() == pytest.approx(0, abs=1e-5)


def test_gradient_reaches_the_student_and_not_the_teacher():
    student = torch.zeros(1, 8, 2, requires_grad=True)
    teacher = torch.ones(1, 8, 2, requires_grad=True)
    ours = torch.zeros(2, 3, requires_grad=True)
    theirs = torch.eye(3)[:2].requires_grad_()
    with torch.no_grad():
        teacher[:, 0] = 4.0

    weights = torch.ones(1, 2)
    loss = localisation_distillation(student, teacher, weights, temperature=10.0)
    (loss + softmax_distillation(ours, theirs, temperature=4.0)).backward()

    assert student.grad is not None
    assert (student.grad[:, 0] < 0).all()  # a step against the gradient raises that bin
    assert ours.grad is not None
    assert (ours.grad.diagonal() < 0).all()
    assert teacher.grad is None
    assert theirs.grad is None
