import pytest
from pydantic import ValidationError

from distill_jobs.recipe.distillation import Distillation, Schedule, Temperature
from distill_jobs.training.schedule import moment, teacher_weight, temperature


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
        # Linear, and a lower start that the ramp leads to.
        (
            Schedule(warmup_epochs=0, ramp_epochs=1, start=0.8, decay="linear", final=0.2),
            4,
            [0.4, 0.8, 0.5, 0.2],
        ),
        # Off in the end: the curve ends before it.
        (
            Schedule(warmup_epochs=1, ramp_epochs=0, decay="cosine", final=0.2, off_epochs=2),
            6,
            [0.0, 1.0, 0.6, 0.2, 0.0, 0.0],
        ),
        (Schedule(warmup_epochs=0, ramp_epochs=0, decay="none", off_epochs=1), 3, [1.0, 1.0, 0.0]),
        # Convex, by default from 0.3 to 0.7 along a line.
        (Schedule(mode="convex", warmup_epochs=0), 5, [0.3, 0.4, 0.5, 0.6, 0.7]),
        (Schedule(mode="convex", start=0.2, final=0.4), 4, [0.0, 0.2, 0.3, 0.4]),
    ],
)
def test_teacher_weight_by_epoch(schedule, epochs, expected):
    assert [teacher_weight(e, epochs, schedule) for e in range(epochs)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wanted", "epochs", "expected"),
    [
        (Temperature(), 3, [10.0, 10.0, 10.0]),
        (Temperature(start=8, curve="constant"), 2, [8.0, 8.0]),
        (Temperature(start=10, final=4), 4, [10.0, 8.0, 6.0, 4.0]),
        (Temperature(start=10, final=2, curve="cosine"), 3, [10.0, 6.0, 2.0]),
        (Temperature(start=10, final=2), 1, [10.0]),
    ],
)
def test_temperature_by_epoch(wanted, epochs, expected):
    assert [temperature(e, epochs, wanted) for e in range(epochs)] == pytest.approx(expected)


def test_convex_takes_from_the_task_what_it_gives_to_the_teachers():
    convex = Distillation(schedule={"mode": "convex", "warmup_epochs": 1, "off_epochs": 1})
    moments = [moment(epoch, 5, convex) for epoch in range(5)]

    assert [one.alpha for one in moments] == pytest.approx([0.0, 0.3, 0.5, 0.7, 0.0])
    assert [one.task_weight for one in moments] == pytest.approx([1.0, 0.7, 0.5, 0.3, 1.0])


def test_additive_leaves_the_task_as_it_is():
    assert [moment(epoch, 5, Distillation()).task_weight for epoch in range(5)] == [1.0] * 5


def test_shallow_levels_wait_for_their_epoch():
    progressive = Distillation(schedule={"shallow_from_epoch": 2})

    assert [moment(e, 4, progressive).deepest_only for e in range(4)] == [True, True, False, False]
    assert not moment(0, 4, Distillation()).deepest_only


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warmup_epochs": 3}, r"warmup_epochs \+ ramp_epochs is 5 and must be below training"),
        ({"off_epochs": 2}, r"warmup_epochs \+ ramp_epochs \+ off_epochs is 5 and must be below"),
        ({"shallow_from_epoch": 5}, "shallow_from_epoch is 5 and must be below training.epochs"),
        (
            {"shallow_from_epoch": 4, "off_epochs": 1, "ramp_epochs": 1},
            r"must be below training.epochs - off_epochs \(4\)",
        ),
    ],
)
def test_a_schedule_must_fit_the_training(changes, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**changes).check_fits(5)

    Schedule(**changes).check_fits(6)


@pytest.mark.parametrize(
    ("section", "changes", "key"),
    [
        (Schedule, {"start": 0}, "start"),
        (Schedule, {"final": 1.5}, "final"),
        (Schedule, {"mode": "average"}, "mode"),
        (Schedule, {"off_epochs": -1}, "off_epochs"),
        (Temperature, {"start": 0}, "start"),
        (Temperature, {"start": 4, "final": 2, "curve": "constant"}, "temperature.final"),
        (Distillation, {"losses": {"dfl": -1}}, "dfl"),
        (Distillation, {"losses": {"class": 0, "box": 0}}, "every weight is 0"),
        (Distillation, {"losses": {"mimic": 1}}, "mimic"),
        (Distillation, {"channel_temperature": 0}, "channel_temperature"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_key(section, changes, key):
    with pytest.raises(ValidationError, match=key):
        section(**changes)
