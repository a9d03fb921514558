import copy

import numpy as np
import pytest
import torch
from small_detectors import detector, images

from distill_jobs.errors import TrainingFailed
from distill_jobs.training.teachers.classes import ClassMap


class Counted:
    """A dense teacher that counts the images it is asked about."""

    def __init__(self, model):
        from distill_jobs.training.teachers.dense import DetectorTeacher

        self._teacher = DetectorTeacher(model, ClassMap.between(("a", "b"), ("a", "b")))
        self.asked = 0

    def __getattr__(self, name):
        return getattr(self._teacher, name)

    def answer(self, batch):
        self.asked += len(batch["img"])
        return self._teacher.answer(batch)


def cached(tmp_path, teacher, identity="one"):
    from distill_jobs.training.teachers.cached import CachedTeacher
    from distill_jobs.training.teachers.store import AnswerStore

    return CachedTeacher(teacher, AnswerStore(tmp_path / "answers"), identity)


def test_answers_in_another_precision_are_other_answers(tmp_path):
    teacher = Counted(detector("yolov8n"))
    pupil = cached(tmp_path, teacher)
    pupil.answer({"img": as_pixels(images())})
    asked = teacher.asked

    with torch.autocast("cpu", torch.bfloat16):
        pupil.answer({"img": as_pixels(images())})

    assert teacher.asked == 2 * asked


def as_pixels(batch):
    return (batch * 255).round() / 255


@pytest.mark.parametrize("name", ["yolov8n", "yolo26n"])
def test_a_kept_answer_is_the_computed_one_flipped_or_not(tmp_path, name):
    teacher = Counted(detector(name))
    pupil = cached(tmp_path, teacher)
    plain = as_pixels(images())
    seen = torch.cat((plain, plain.flip(3)))
    expected = teacher.answer({"img": seen})
    pupil.answer({"img": seen})
    asked = teacher.asked

    kept = pupil.answer({"img": seen[[3, 0]]})

    assert teacher.asked == asked
    for branch in ("head", "one_to_one"):
        said, was = getattr(kept, branch), getattr(expected, branch)
        if was is None:
            assert said is None
            continue
        torch.testing.assert_close(said.logits, was.logits[[3, 0]], atol=2e-2, rtol=2e-3)
        torch.testing.assert_close(said.boxes_xyxy_px, was.boxes_xyxy_px[[3, 0]])
        torch.testing.assert_close(said.distances, was.distances[[3, 0]], atol=2e-2, rtol=2e-3)
    for said, was in zip(kept.features, expected.features, strict=True):
        torch.testing.assert_close(said, was[[3, 0]], atol=1e-2, rtol=2e-3)
    assert kept.known.tolist() == [True, True]
    assert pupil.shape == teacher.shape


def test_only_what_is_new_is_asked(tmp_path):
    teacher = Counted(detector())
    pupil = cached(tmp_path, teacher)
    seen = as_pixels(images(3))
    pupil.answer({"img": seen[1:2]})

    pupil.answer({"img": seen})

    assert teacher.asked == 3


def test_another_pixel_another_teacher_or_another_size_misses(tmp_path):
    teacher = Counted(detector())
    seen = as_pixels(images(1))
    cached(tmp_path, teacher).answer({"img": seen})
    changed = seen.clone()
    changed[0, 0, 5, 5] = 1 - changed[0, 0, 5, 5]

    for other, batch in (("one", changed), ("two", seen), ("one", seen[..., :32])):
        before = teacher.asked
        cached(tmp_path, teacher, other).answer({"img": batch})
        assert teacher.asked == before + 1


def test_a_damaged_answer_is_asked_for_again(tmp_path):
    teacher = Counted(detector())
    pupil = cached(tmp_path, teacher)
    batch = {"img": as_pixels(images(1))}
    first = pupil.answer(batch)
    (file,) = (tmp_path / "answers").rglob("*.npz")
    file.write_bytes(file.read_bytes()[:200])

    again = pupil.answer(batch)

    assert teacher.asked == 2
    torch.testing.assert_close(again.head.logits, first.head.logits)


def test_a_store_reads_no_pickles(tmp_path):
    from distill_jobs.training.teachers.store import AnswerStore

    store = AnswerStore(tmp_path)
    store.put("ab12", {"x": np.arange(3)})
    np.savez(tmp_path / "ab" / "ab99.npz", x=np.array([{}], dtype=object))

    assert store.get("ab12")["x"].tolist() == [0, 1, 2]
    assert store.get("ab99") is None
    assert store.get("ab00") is None


def test_an_answer_that_cannot_be_kept_says_why(tmp_path):
    from distill_jobs.training.teachers.store import AnswerStore

    (tmp_path / "ab").write_text("a file where a folder should be")

    with pytest.raises(TrainingFailed, match=r"cannot be kept .*leave `cache: true` out"):
        AnswerStore(tmp_path).put("ab12", {"x": np.arange(3)})


def test_a_copy_of_a_cached_teacher_is_itself(tmp_path):
    pupil = cached(tmp_path, Counted(detector()))

    assert copy.deepcopy(pupil) is pupil
