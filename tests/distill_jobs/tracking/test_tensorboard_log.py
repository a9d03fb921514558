import io
from pathlib import Path

import pytest
from epochs import epoch
from PIL import Image

from distill_jobs.tracking.tensorboard_log import TensorBoardLog, looks_closely


def read_back(folder: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"images": 0, "histograms": 0})
    events.Reload()
    return events


def steps_and_values(events, tag: str) -> list[tuple[int, float]]:
    return [(one.step, pytest.approx(one.value)) for one in events.Scalars(tag)]


def test_every_figure_of_an_epoch_is_read_back_under_its_name(tmp_path):
    log = TensorBoardLog(tmp_path, ("cell",))

    for number in range(3):
        log.epoch_ended(epoch(number))

    events = read_back(tmp_path)
    assert steps_and_values(events, "train/box_loss") == [(1, 1.5), (2, 1.4), (3, 1.3)]
    assert steps_and_values(events, "train/class_distill") == [(1, 0.25), (2, 0.25), (3, 0.25)]
    assert steps_and_values(events, "alpha") == [(1, 0.0), (2, 0.5), (3, 1.0)]
    assert steps_and_values(events, "quality/map50_95") == [(1, 0.25), (2, 0.25), (3, 0.25)]
    assert {"val/box_loss", "quality/map50", "learning_rate/1", "seconds"} <= set(
        events.Tags()["scalars"]
    )


def test_scores_of_both_models_and_pictures_are_read_back(tmp_path):
    log = TensorBoardLog(tmp_path, ("cell",))

    log.epoch_ended(epoch(0, 1))

    events = read_back(tmp_path)
    (student,) = events.Histograms("scores/0/student")
    (teacher,) = events.Histograms("scores/0/teacher")
    assert (student.histogram_value.num, teacher.histogram_value.num) == (50, 70)
    assert student.histogram_value.max == pytest.approx(0.8)
    (picture,) = events.Images("frames/0")
    assert Image.open(io.BytesIO(picture.encoded_image_string)).size == (2 * 720 + 6, 720 + 44)


def test_epochs_trained_again_after_a_kill_replace_the_earlier_ones(tmp_path):
    killed = TensorBoardLog(tmp_path, ("cell",))
    for number in range(2):
        killed.epoch_ended(epoch(number, map50=0.1))
    resumed = TensorBoardLog(tmp_path, ("cell",))

    for number in (1, 2):
        resumed.epoch_ended(epoch(number, map50=0.9))

    assert steps_and_values(read_back(tmp_path), "quality/map50") == [(1, 0.1), (2, 0.9), (3, 0.9)]


def test_a_long_training_looks_at_the_frames_ten_times_or_so():
    looked_at = [number for number in range(100) if looks_closely(epoch(number, 100))]

    assert looked_at == [0, *range(9, 100, 10)]
