import json
import os
import stat
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml
from harvested_frames import START, disagreement, picture

from distill_jobs.data.dataset import Dataset
from distill_jobs.data.intake import take_in
from distill_jobs.data.staging import stage
from distill_jobs.progress import Silent
from distill_jobs.recipe.data import Data
from serving.dataplane.harvest_folder import HarvestedFrame, HarvestFolder
from serving.dataplane.harvest_writer import write_frame, write_readme


def added(folder: HarvestFolder, **options: object) -> HarvestedFrame:
    kept = write_frame(folder.path, disagreement(**options))  # type: ignore[arg-type]
    assert kept is not None
    return kept


def files_of(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_a_distillation_job_takes_the_folder(tmp_path: Path) -> None:
    folder = HarvestFolder(tmp_path / "harvest")
    frames = [added(folder, after_s=seconds) for seconds in range(3)]
    added(folder, after_s=9, teacher=())
    (data_set,) = folder.data_sets()

    dataset = Dataset.load(data_set / "data.yaml")
    samples = [one for split in ("train", "val") for one in dataset.split(split)]
    read = [one.read_labels(60, 40) for one in samples]
    class_ids, boxes = read[0]

    assert dataset.class_names == ("cell", "plate")
    assert len(read) == 4
    assert class_ids.tolist() == [0, 1]
    np.testing.assert_allclose(boxes, [[6, 4, 18, 12], [30, 10, 60, 40]], atol=1e-3)
    assert dataset.split("train")[0].image == frames[0].image
    # The way a job takes: it opens every image.
    intake = take_in(Data(path=data_set / "data.yaml"), Silent())
    assert stage(intake, tmp_path / "staged").split("val")


@pytest.mark.parametrize(
    ("roles", "heard", "labelled_by"),
    [
        (("teacher", "student"), "teacher", "primary"),
        (("teacher", "student"), "student", "shadow"),
        (("student", "student"), "student", "primary"),
        (("teacher", "teacher"), "student", "primary"),
    ],
)
def test_the_teachers_answer_is_the_label(
    tmp_path: Path, roles: tuple[str, str], heard: str, labelled_by: str
) -> None:
    student = (((0, 0, 20, 20), 1, 0.6),)

    kept = added(HarvestFolder(tmp_path), roles=roles, heard=heard, student=student)

    said = json.loads(kept.answers.read_text())
    assert said["labels_from"] == labelled_by
    by_teacher = said[labelled_by]["arm"] == "teacher"
    assert len(kept.labels.read_text().splitlines()) == (2 if by_teacher else 1)


def test_both_answers_lie_beside_the_frame(tmp_path: Path) -> None:
    kept = added(HarvestFolder(tmp_path), student=(((0, 0, 20, 20), 1, 0.6),), heard="student")

    said = json.loads(kept.answers.read_text())

    assert (said["camera_id"], said["frame_id"]) == ("gate-7", "frame-1")
    assert (said["route"], said["revision"]) == ("default", 7)
    assert said["at"] == "2026-01-05T12:00:00+00:00"
    assert said["agreement"] == {"f1": 0, "matched": 0, "mean_iou": None, "count_difference": 1}
    assert said["primary"] == {
        "arm": "student",
        "release": "student-1.0",
        "role": "student",
        "variant": "onnxruntime-fp32",
        "image_size": [60, 40],
        "detections": [
            {"box_xyxy_px": [0, 0, 20, 20], "class_id": 1, "label": "plate", "score": 0.6}
        ],
    }
    assert [one["label"] for one in said["shadow"]["detections"]] == ["cell", "plate"]


def test_what_sticks_out_is_cut_and_what_has_no_area_left_out(tmp_path: Path) -> None:
    teacher = (
        ((-10, -10, 30, 20), 0, 0.9),
        ((70, 5, 90, 9), 0, 0.9),
        ((5, 5, 5, 9), 1, 0.9),
        ((5, 5, 5.00001, 9), 1, 0.9),
    )

    kept = added(HarvestFolder(tmp_path), teacher=teacher)

    assert kept.labels.read_text() == "0 0.250000 0.250000 0.500000 0.500000\n"


def test_nothing_a_camera_says_becomes_a_path(tmp_path: Path) -> None:
    folder = HarvestFolder(tmp_path / "harvest")

    kept = added(folder, camera_id="../../etc/passwd")

    assert kept.camera_id() == "../../etc/passwd"
    assert kept.image.is_relative_to(folder.path)
    assert "passwd" not in "".join(files_of(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"harvest"}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_an_image_is_named_by_its_own_bytes(tmp_path: Path, suffix: str) -> None:
    assert added(HarvestFolder(tmp_path), image=picture(suffix)).image.suffix == suffix


def test_what_is_no_image_is_not_kept(tmp_path: Path) -> None:
    assert write_frame(tmp_path, disagreement(image=b"GIF89a...")) is None
    assert files_of(tmp_path) == set()


def test_the_files_are_their_owners_alone(tmp_path: Path) -> None:
    old_mask = os.umask(0)
    try:
        folder = HarvestFolder(tmp_path / "harvest")
        write_readme(folder.path, "text")
        added(folder)
    finally:
        os.umask(old_mask)

    for path in [folder.path, *folder.path.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_routes_and_class_lists_are_data_sets_of_their_own(tmp_path: Path) -> None:
    folder = HarvestFolder(tmp_path)
    added(folder, route="default")
    added(folder, route="solo")

    assert len(folder.data_sets()) == 2
    for data_set in folder.data_sets():
        assert yaml.safe_load((data_set / "data.yaml").read_text()) == {
            "train": "images/train",
            "val": "images/val",
            "names": {0: "cell", 1: "plate"},
        }


def test_both_splits_have_frames_and_an_hour_of_a_camera_lies_on_one_side(tmp_path: Path) -> None:
    folder = HarvestFolder(tmp_path)
    for number in range(2):
        added(folder, after_s=number)
    for camera in range(40):
        for minute in range(2):
            added(folder, camera_id=f"camera-{camera}", after_s=2 + camera / 100 + 60 * minute)

    frames = folder.frames()
    sides: dict[str, set[str]] = {}
    for frame in frames[2:]:
        sides.setdefault(str(frame.camera_id()), set()).add(frame.split)

    assert [frame.split for frame in frames[:2]] == ["train", "val"]
    assert all(len(side) == 1 for side in sides.values())
    in_val = sum(side == {"val"} for side in sides.values())
    assert 0 < in_val < 15


def test_the_oldest_go_first_until_the_rest_fits(tmp_path: Path) -> None:
    folder = HarvestFolder(tmp_path)
    frames = [added(folder, after_s=seconds) for seconds in range(6)]
    size = frames[0].size_bytes
    stated = sum(
        file.stat().st_size for file in tmp_path.rglob("*") if file.suffix in (".jpg", ".json")
    )

    held = folder.trim(before=START, max_bytes=4 * size + size // 2)

    assert [frame.image for frame in folder.frames()] == [frame.image for frame in frames[2:]]
    assert held == sum(frame.size_bytes for frame in frames[2:])
    assert stated <= 6 * size
    assert len(files_of(tmp_path)) == 4 * 3 + 1


def test_what_is_too_old_goes_however_little_there_is(tmp_path: Path) -> None:
    folder = HarvestFolder(tmp_path)
    added(folder, after_s=0)
    young = added(folder, after_s=100)

    folder.trim(before=START + timedelta(seconds=50), max_bytes=10**9)

    assert [frame.image for frame in folder.frames()] == [young.image]


def test_a_write_that_fails_leaves_no_frame(tmp_path: Path) -> None:
    folder = HarvestFolder(tmp_path)
    first, second = added(folder), added(folder)
    blocked = second.image.parent  # the next one goes to either split: block both
    for split in (first.image.parent, blocked):
        split.rename(split.with_name(f"{split.name}-away"))
        split.write_bytes(b"")

    with pytest.raises(OSError, match="exists"):
        write_frame(folder.path, disagreement())

    assert len(list(tmp_path.rglob("*.json"))) == 2


def test_leftovers_of_a_killed_process_go_after_an_hour(tmp_path: Path) -> None:
    folder = HarvestFolder(tmp_path)
    kept = added(folder)
    half_written = kept.image.with_name(".20260105T120001000000Z-0123456789ab.jpg.0123")
    alone = kept.answers.with_name("20260105T120001000000Z-0123456789ab.json")
    fresh = kept.labels.with_name("20260105T120002000000Z-0123456789ab.txt")
    for file in (half_written, alone, fresh):
        file.write_bytes(b"")
    for file in (half_written, alone):
        os.utime(file, (0, 0))

    folder.trim(before=START, max_bytes=10**9)

    assert not half_written.exists()
    assert not alone.exists()
    assert fresh.exists()
    assert kept.image.exists()


def test_a_half_written_frame_is_none(tmp_path: Path) -> None:
    folder = HarvestFolder(tmp_path)
    kept = added(folder)
    kept.image.rename(kept.image.with_name(f".{kept.image.name}.123"))

    assert folder.frames() == []


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """Somebody harvests into a folder that holds data sets of their own."""
    for file in ("data.yaml", "images/train/0.jpg", "labels/train/0.txt", "answers/train/x.json"):
        path = tmp_path / "mine" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("names: [a]")
        os.utime(path, (0, 0))
    before = files_of(tmp_path)

    HarvestFolder(tmp_path).trim(before=START + timedelta(days=10_000), max_bytes=0)

    assert files_of(tmp_path) == before
