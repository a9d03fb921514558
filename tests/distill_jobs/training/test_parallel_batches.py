import itertools

import pytest
import torch
from training_processes import draw_data

from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import offline
from distill_jobs.progress import Silent
from distill_jobs.recipe.networks import Student

offline()

from distill_jobs.training.parallel_batches import epoch_order  # noqa: E402  # after offline()


def images(batches):
    return [index for batch in batches for _, index in batch]


def test_an_epoch_is_each_image_once_in_an_order_of_its_own():
    first, again, second = (epoch_order(10, 4, seed=3, epoch=epoch) for epoch in (0, 0, 1))

    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(images(first)) == list(range(10))
    assert first == again
    assert images(first) != images(second)
    assert [place for batch in first for place, _ in batch] == list(range(10))


def test_processes_share_an_epoch_out_evenly(monkeypatch):
    alone = images(epoch_order(9, 4, seed=0, epoch=0))
    monkeypatch.setenv("WORLD_SIZE", "2")
    shares = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        shares.append(images(epoch_order(9, 2, seed=0, epoch=0)))

    assert [len(share) for share in shares] == [5, 5]
    together = list(itertools.chain.from_iterable(zip(*shares, strict=True)))
    assert together == [*alone, alone[0]]


@pytest.mark.slow
def test_workers_go_on_with_the_very_batches_that_were_to_come(tmp_path):
    from distill_jobs.training.batch_order import remaining_batches
    from distill_jobs.training.lesson import Lesson
    from distill_jobs.training.networks import find_origin
    from distill_jobs.training.trainer import LessonTrainer

    data = draw_data(tmp_path / "data", train=8)

    def batches(name, *, workers, epoch, first):
        lesson = Lesson(
            title="train",
            data=Dataset.load(data),
            origin=find_origin(Student(architecture="yolov8n", width=0.125)),
            staff=None,
            distillation=None,
            reporter=Silent(),
            workers=workers,
        )
        arguments = {"epochs": 4, "batch": 2, "imgsz": 64, "mosaic": 0.7, "close_mosaic": 1}
        fixed = {"model": "student.yaml", "data": str(data), "device": "cpu", "amp": False}
        quiet = {"plots": False, "verbose": False, "save_dir": str(tmp_path / name)}
        # Without `cache` the mosaics' images are what a process happens to hold.
        trainer = LessonTrainer(lesson, {**arguments, **fixed, **quiet, "cache": False})
        trainer._setup_train()
        trainer.position.epoch, trainer.position.batch = epoch, first
        return dict(remaining_batches(trainer))

    whole = batches("a", workers=2, epoch=1, first=0)
    rest = batches("b", workers=1, epoch=1, first=2)

    assert list(whole) == [0, 1, 2, 3]
    assert list(rest) == [2, 3]
    for number, batch in rest.items():
        assert torch.equal(batch["img"], whole[number]["img"])
        assert torch.equal(batch["bboxes"], whole[number]["bboxes"])
        assert batch["im_file"] == whole[number]["im_file"]
    assert not torch.equal(whole[0]["img"], whole[1]["img"])
