import pytest

from distill_jobs.recipe.distillation import Schedule
from distill_jobs.training.schedule import teacher_weight


@pytest.mark.parametrize(
    ("schedule", "epochs", "expected"),
    [
        (
            Schedule(warmup_epochs=1, ramp_epochs=2, decay="cosine", final=0.2),
            6,
            [0.0, 1 / 3, 2 / 3, 1.0, 0.6, 0.2],
        ),
        (Schedule(warmup_epochs=0, ramp_epochs=0, decay="cosine", final=0.0), 3, [1.0, 0.5, 0.0]),
        (Schedule(warmup_epochs=2, ramp_epochs=1, decay="none"), 5, [0.0, 0.0, 0.5, 1.0, 1.0]),
        (Schedule(warmup_epochs=1, ramp_epochs=1, decay="cosine", final=0.1), 3, [0.0, 0.5, 1.0]),
        (Schedule(warmup_epochs=2, ramp_epochs=0), 2, [0.0, 0.0]),
    ],
)
def test_teacher_weight_by_epoch(schedule, epochs, expected):
    assert [teacher_weight(e, epochs, schedule) for e in range(epochs)] == pytest.approx(expected)
