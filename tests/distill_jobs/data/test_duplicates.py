import numpy as np
import pytest
from data_sets import taken_in

from distill_jobs.data.duplicates import MAX_LISTED, Shown, exact_pairs, near_pairs
from distill_jobs.data.intake import refuse_duplicates
from distill_jobs.data.pair_sheet import write_pair_sheet
from distill_jobs.data.picture import pixels_of
from distill_jobs.environment import data_root
from distill_jobs.recipe.data import Data


def shown(path, split, look, *, pixels=None):
    return Shown(path / f"{split}-{look}.png", split, pixels or f"{split}{look}", look)


def test_exact_pairs_name_the_first_of_another_split(tmp_path):
    ones = [
        shown(tmp_path, "train", 1, pixels="a"),
        shown(tmp_path, "train", 2, pixels="a"),
        shown(tmp_path, "val", 3, pixels="a"),
        shown(tmp_path, "test", 4, pixels="b"),
    ]

    pairs = exact_pairs(ones)

    assert [(pair.one.look, pair.other.look) for pair in pairs] == [(1, 3)]


def test_near_pairs_are_counted_whole_and_listed_by_closeness(tmp_path):
    ones = [shown(tmp_path, "train", 0b0000 + (n << 8)) for n in range(3)]
    others = [shown(tmp_path, "val", look) for look in (0b0111, 0b0001, (2 << 8) + 0b0011)]

    near = near_pairs(ones, others, 2)

    assert near.count == 4
    assert [(p.one.look >> 8, p.other.look & 0xFF, p.bits) for p in near.closest] == [
        (0, 0b0001, 1),
        (1, 0b0001, 2),
        (2, 0b0001, 2),
        (2, 0b0011, 2),
    ]


def test_a_fixed_camera_whose_frames_all_look_alike_does_not_flood_the_lock(tmp_path):
    ones = [shown(tmp_path, "train", 7, pixels=str(n)) for n in range(60)]
    others = [shown(tmp_path, "val", 7, pixels=f"v{n}") for n in range(40)]

    near = near_pairs(ones, others, 0)

    assert (near.count, len(near.closest)) == (2400, MAX_LISTED)


@pytest.mark.skipif(not data_root().exists(), reason="UNDERSTUDY_DATA is absent")
def test_the_known_pair_of_real_images_is_found_and_no_other(tmp_path):
    path = data_root() / "bccd/data.yaml"
    intake = taken_in(path)

    refuse_duplicates(intake, Data.model_validate({"path": str(path)}))
    write_pair_sheet(tmp_path / "pairs.jpg", intake.near.closest)

    (pair,) = intake.near.closest
    assert (pair.one.split, pair.one.image.name) == ("train", "BloodImage_00038.jpg")
    assert (pair.other.split, pair.other.image.name) == ("val", "BloodImage_00037.jpg")
    assert intake.images == 364
    assert not intake.faults
    sheet = pixels_of((tmp_path / "pairs.jpg").read_bytes(), ".jpg")
    assert sheet.shape == (202, 486, 3)
    # Both pictures are on it, and almost the same.
    left, right = sheet[22:202, :240].astype(np.int16), sheet[22:202, 246:].astype(np.int16)
    assert left.std() > 20
    assert np.abs(left - right).mean() < 15
