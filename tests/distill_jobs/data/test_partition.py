import json

import pytest
from data_sets import taken_in, texture, write_image, write_pool

from distill_jobs.data.lock import check_lock
from distill_jobs.data.lock_writer import write_intake_lock
from distill_jobs.data.partition import partition
from distill_jobs.data.staging import stage
from distill_jobs.errors import DataChanged, DataSetInvalid
from distill_jobs.recipe.data import Data, Split

BY_CAMERA = {"by": "camera", "pattern": "(?P<camera>cam[0-9]+)"}


def frames(cameras: int, each: int) -> list[str]:
    return [f"cam{camera}/{number:02d}.png" for camera in range(cameras) for number in range(each)]


def test_no_camera_is_on_two_sides(tmp_path):
    pool = write_pool(tmp_path / "pool", frames(10, 4))

    intake = taken_in(pool, split=BY_CAMERA)

    cameras = {
        split: {piece.image.parent.name for piece in intake.split(split)}
        for split in ("train", "val", "test")
    }
    assert {split: len(names) for split, names in cameras.items()} == {
        "train": 7,
        "val": 2,
        "test": 1,
    }
    assert len(set.union(*cameras.values())) == 10
    assert {split: set(names) for split, names in intake.groups.items()} == cameras


def test_a_split_is_drawn_the_same_each_time_and_by_its_seed(tmp_path):
    sizes = {f"cam{number}": 4 for number in range(10)}
    path = tmp_path / "data.yaml"

    drawn = [partition(Split(**BY_CAMERA, seed=seed), sizes, path) for seed in (0, 0, 1)]

    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_few_large_cameras_leave_no_split_empty(tmp_path):
    sizes = {"cam0": 50, "cam1": 50, "cam2": 50}

    split_of = partition(Split(**BY_CAMERA), sizes, tmp_path)

    assert sorted(split_of.values()) == ["test", "train", "val"]
    with pytest.raises(DataSetInvalid, match="2 cameras are too few for 3 splits"):
        partition(Split(**BY_CAMERA), {"cam0": 50, "cam1": 50}, tmp_path)


@pytest.mark.parametrize("times", [["9", "10", "11", "12", "100"], ["a", "b", "c", "d", "e"]])
def test_the_newest_images_are_held_out(tmp_path, times):
    rule = Split.model_validate(
        {
            "by": "time",
            "pattern": "(?P<time>.)",
            "fractions": {"train": 0.6, "val": 0.2, "test": 0.2},
        }
    )

    split_of = partition(rule, dict.fromkeys(reversed(times), 10), tmp_path)

    assert [split_of[time] for time in times] == ["train", "train", "train", "val", "test"]


def test_a_random_split_that_grows_keeps_what_it_had(tmp_path):
    pool = write_pool(tmp_path / "pool", [f"{number:02d}.png" for number in range(40)])
    before = {p.image: p.split for p in taken_in(pool, split={"by": "random"}).pieces}
    for number in range(40, 60):
        write_image(pool.parent / f"images/{number}.png", texture(number))

    after = {p.image: p.split for p in taken_in(pool, split={"by": "random"}).pieces}

    assert len(after) == 60
    assert {image: after[image] for image in before} == before
    assert sorted(set(before.values())) == ["test", "train", "val"]


def test_two_fractions_make_no_test_split(tmp_path):
    pool = write_pool(tmp_path / "pool", frames(4, 2))
    fractions = {"train": 0.75, "val": 0.25, "test": 0}

    staged = stage(taken_in(pool, split={**BY_CAMERA, "fractions": fractions}), tmp_path / "copy")

    assert {split: len(samples) for split, samples in staged.splits.items()} == {
        "train": 6,
        "val": 2,
    }


def test_an_image_whose_camera_is_unknown_is_skipped_and_listed(tmp_path):
    pool = write_pool(tmp_path / "pool", [*frames(4, 2), "unknown.png"])

    intake = taken_in(pool, split=BY_CAMERA)

    (fault,) = intake.faults
    assert fault.file.name == "unknown.png"
    assert fault.why == "data.split.pattern finds no camera in its path"
    assert len(intake.pieces) == 8


def test_a_pattern_that_finds_nothing_is_refused(tmp_path):
    pool = write_pool(tmp_path / "pool", ["a.png", "b.png"])

    with pytest.raises(DataSetInvalid, match=r"finds no camera in any image's path, for example"):
        taken_in(pool, split=BY_CAMERA)


def test_the_lock_holds_rule_groups_and_files_and_checks_the_whole_pool(tmp_path):
    pool = write_pool(tmp_path / "pool", frames(6, 2))
    section = Data.model_validate({"path": str(pool), "split": BY_CAMERA})
    intake = taken_in(pool, split=BY_CAMERA)

    write_intake_lock(tmp_path / "data.lock", intake, section, None)

    locked = json.loads((tmp_path / "data.lock").read_text())
    check_lock(tmp_path / "data.lock", intake.source)
    assert locked["split"]["by"] == "camera"
    cameras = [camera for group in locked["split"]["groups"].values() for camera in group]
    assert sorted(cameras) == [f"cam{number}" for number in range(6)]
    assert {name: len(files) for name, files in locked["splits"].items()} == {
        "train": 16,
        "val": 4,
        "test": 4,
    }
    (pool.parent / "labels/cam3/01.txt").write_text("")
    with pytest.raises(DataChanged, match=r"labels/cam3/01\.txt: changed since the lock"):
        check_lock(tmp_path / "data.lock", intake.source)
