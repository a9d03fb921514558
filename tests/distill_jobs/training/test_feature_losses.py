import math

import pytest
import torch

from distill_jobs.training.losses.channels import channel_wise_distillation
from distill_jobs.training.losses.features import score_weighted_feature_distillation
from distill_jobs.training.losses.pearson import pearson_distillation

SCORES = torch.full((2, 4, 4), 0.5)
LOSSES = {
    "cwd": channel_wise_distillation,
    "features": lambda student, teacher: score_weighted_feature_distillation(
        student, teacher, SCORES
    ),
    "pkd": pearson_distillation,
}


def features(*channels: list[float]) -> torch.Tensor:
    """Build one image's features, one place after the other: float [1, C, 1, W]."""
    return torch.tensor(channels)[None, :, None, :]


def noise(seed: int) -> torch.Tensor:
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("temperature", "factor"), [(1.0, 1.0), (2.0, 4.0)])
def test_channel_wise_loss_of_a_hand_computed_case(temperature, factor):
    # Standardised, the student's two places are (-1, 1) and the teacher's (1, -1), whatever their
    # scales. Softmax of (1, -1)/T: p = σ(2/T). KL of (p, 1-p) from (1-p, p): (2p - 1) · 2/T, and
    # 2p - 1 = tanh(1/T).
    expected = factor * math.tanh(1 / temperature) * 2 / temperature

    loss = channel_wise_distillation(
        features([0.0, 1.0]), features([7.0, 3.0]), temperature=temperature
    )

    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_channel_wise_loss_is_a_mean_over_channels_and_images():
    one, other = features([0.0, 1.0]), features([7.0, 3.0])
    single = channel_wise_distillation(one, other)

    equal_beside = channel_wise_distillation(
        torch.cat((one, one), dim=1), torch.cat((other, one), dim=1)
    )
    twice = channel_wise_distillation(torch.cat((one, one)), torch.cat((other, other)))

    assert equal_beside.item() == pytest.approx(single.item() / 2, rel=1e-5)
    assert twice.item() == pytest.approx(single.item(), rel=1e-5)


def test_score_weighted_loss_of_a_hand_computed_case():
    student = features([0.0, 0.0], [0.0, 0.0])
    teacher = features([1.0, 3.0], [2.0, 0.0])
    scores = torch.tensor([[[0.5, 0.1]]])
    # Squared distances 1 + 4 = 5 and 9 + 0 = 9; two channels.
    expected = (0.5 * 5 + 0.1 * 9) / (2 * (0.5 + 0.1))

    loss = score_weighted_feature_distillation(student, teacher, scores)

    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_pearson_loss_of_a_hand_computed_case():
    student = features([1.0, 3.0, 2.0], [10.0, 20.0, 30.0])
    teacher = features([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])
    # First channel: deviations (-1, 1, 0) and (-1, 0, 1), ρ = 1/2. Second: ρ = -1.
    expected = 1 - (0.5 - 1) / 2

    assert pearson_distillation(student, teacher).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_equal_features_cost_nothing(name):
    assert LOSSES[name](noise(0), noise(0)).item() == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("name", ["cwd", "pkd"])
def test_scale_and_shift_of_a_channel_cost_nothing(name):
    scales = torch.tensor([0.1, 1.0, 50.0]).view(1, 3, 1, 1)

    assert LOSSES[name](noise(0), noise(0) * scales + 3).item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_reaches_the_student_and_not_the_teacher(name):
    student, teacher = noise(0).requires_grad_(), noise(1).requires_grad_()

    LOSSES[name](student, teacher).backward()

    assert student.grad is not None
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


@pytest.mark.parametrize("name", LOSSES)
def test_a_constant_map_stays_finite(name):
    student = torch.zeros(2, 3, 4, 4, requires_grad=True)

    loss = LOSSES[name](student, noise(1))
    loss.backward()

    assert torch.isfinite(loss)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_nothing_seen_costs_nothing():
    empty = torch.zeros(2, 4, 4)

    assert score_weighted_feature_distillation(noise(0), noise(1), empty).item() == 0.0
