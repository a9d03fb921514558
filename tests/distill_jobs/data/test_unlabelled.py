import json
import shutil

import cv2
import numpy as np
import pytest
from data_sets import taken_in, texture, write_image

from distill_jobs.data.dataset import Dataset
from distill_jobs.data.lock import check_lock
from distill_jobs.data.lock_writer import write_intake_lock
from distill_jobs.data.staging import stage
from distill_jobs.errors import DataSetInvalid
from distill_jobs.recipe.data import Data


@pytest.fixture
def harvest(tmp_path):
    """Three pictures without labels."""
    for seed in (100, 101, 102):
        write_image(tmp_path / f"harvest/{seed}.png", texture(seed))
    return tmp_path / "harvest"


def test_unlabelled_images_lie_beside_train_and_are_listed(data_set, harvest, tmp_path):
    staged = stage(taken_in(data_set, unlabelled=str(harvest)), tmp_path / "staged")

    listed = (tmp_path / "staged/unlabelled.txt").read_text().splitlines()
    assert listed == [f"images/train/00000{3 + n}-{100 + n}.png" for n in range(3)]
    assert [sample.labelled for sample in staged.split("train")] == [True] * 3 + [False] * 3
    assert [sample.image for sample in staged.split("train")[3:]] == [
        (tmp_path / "staged").resolve() / line for line in listed
    ]
    assert not list((tmp_path / "staged/labels").rglob("00000[345]*"))
    assert all(sample.labelled for sample in staged.split("val"))
    assert Dataset.load(staged.path) == staged


def test_a_working_copys_unlabelled_images_stay_without_labels(data_set, harvest, tmp_path):
    """Taken in again they were background: objects on them would be taught away."""
    first = stage(taken_in(data_set, unlabelled=str(harvest)), tmp_path / "staged")

    intake = taken_in(first.path)
    again = stage(intake, tmp_path / "again")
    write_intake_lock(tmp_path / "data.lock", intake, Data(path=first.path), None)

    assert [len(intake.split(split)) for split in ("train", "unlabelled")] == [3, 3]
    assert [sample.labelled for sample in again.split("train")] == [True] * 3 + [False] * 3
    check_lock(tmp_path / "data.lock", Dataset.load(first.path))


def test_without_any_there_is_no_list(data_set, tmp_path):
    stage(taken_in(data_set), tmp_path / "staged")

    assert not (tmp_path / "staged/unlabelled.txt").exists()


def test_a_list_names_unlabelled_images_too(data_set, harvest):
    (harvest / "some.txt").write_text("100.png\n102.png\n")

    intake = taken_in(data_set, unlabelled=[str(harvest / "some.txt")])

    assert [piece.image.name for piece in intake.split("unlabelled")] == ["100.png", "102.png"]


def test_their_share_is_capped_by_a_draw_that_repeats(data_set, harvest):
    intake = taken_in(data_set, unlabelled=[str(harvest)], max_unlabelled_share=0.25)
    again = taken_in(data_set, unlabelled=[str(harvest)], max_unlabelled_share=0.25)

    assert len(intake.split("unlabelled")) == 1
    assert intake.split("unlabelled") == again.split("unlabelled")
    assert {one.why for one in intake.left_out} == {
        "is above data.max_unlabelled_share: 1 of 3 images fit in"
    }


def test_a_picture_that_is_labelled_or_held_out_is_left_out(data_set, harvest):
    shutil.copy(data_set.parent / "images/test/1.png", harvest / "leak.png")
    shutil.copy(harvest / "100.png", harvest / "100-again.png")

    intake = taken_in(data_set, unlabelled=[str(harvest)])

    why = {one.find.image.name: one.why for one in intake.left_out}
    assert sorted(why) == ["100.png", "leak.png"]
    assert why["leak.png"].endswith("images/test/1.png (test)")
    assert not intake.faults


@pytest.mark.parametrize(("near", "used"), [("list", 4), ("refuse", 3)])
def test_almost_a_held_out_picture_is_listed_or_left_out(data_set, harvest, near, used):
    pixels = cv2.imread(str(data_set.parent / "images/test/1.png"))
    assert pixels is not None
    brighter = np.clip(pixels.astype(np.int16) + 6, 0, 255).astype(np.uint8)
    write_image(harvest / "almost.png", brighter)

    intake = taken_in(
        data_set, unlabelled=[str(harvest)], near_duplicates=near, max_unlabelled_share=0.9
    )

    assert len(intake.split("unlabelled")) == used
    assert intake.near.count == (1 if near == "list" else 0)
    assert [one.find.image.name for one in intake.left_out] == ["almost.png"] * (4 - used)


def test_a_broken_one_is_a_fault_like_any(data_set, harvest):
    (harvest / "101.png").write_bytes(b"")

    (fault,) = taken_in(data_set, unlabelled=[str(harvest)]).faults

    assert (fault.file.name, fault.split) == ("101.png", "unlabelled")


def test_a_harvest_may_grow_and_shrink_while_the_run_goes_on(data_set, harvest, tmp_path):
    section = {"path": str(data_set), "unlabelled": [str(harvest)]}
    intake = taken_in(data_set, unlabelled=[str(harvest)])
    staged = stage(intake, tmp_path / "staged")
    write_intake_lock(tmp_path / "data.lock", intake, Data.model_validate(section), None)

    shutil.rmtree(harvest)

    check_lock(tmp_path / "data.lock", Dataset.load(data_set))
    assert all(sample.image.is_file() for sample in staged.split("train"))
    locked = json.loads((tmp_path / "data.lock").read_text())["splits"]["unlabelled"]
    assert sorted(locked) == [f"../harvest/{number}.png" for number in (100, 101, 102)]


def test_a_place_without_images_is_refused(data_set, tmp_path):
    (tmp_path / "empty").mkdir()

    with pytest.raises(DataSetInvalid, match=r"empty: data\.unlabelled: holds no image"):
        taken_in(data_set, unlabelled=[str(tmp_path / "empty")])
    with pytest.raises(DataSetInvalid, match=r"data\.unlabelled: .*gone is neither a folder"):
        taken_in(data_set, unlabelled=[str(tmp_path / "gone")])
