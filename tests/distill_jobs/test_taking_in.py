import hashlib
import json
import shutil
import zipfile

import cv2
import numpy as np
import pytest

from distill_jobs.errors import DataChanged, DataSetInvalid, DuplicatesFound, TooFaulty
from distill_jobs.progress import Silent
from distill_jobs.run_folder import RunFolder
from distill_jobs.taking_in import data_step

SCENES = "scenes: {train: 16, val: 8, test: 8, size: 96}"


class Heard(Silent):
    """Remembers the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        """Remember a note."""
        self.notes.append(text)


@pytest.fixture
def begun(write_job, data_set, tmp_path):
    """Return a function that begins a run on the small data set, with more keys for its section."""

    def begin(more: str = "", *changes: tuple[str, str], name: str = "run") -> RunFolder:
        job = write_job((SCENES, f"path: {data_set}{more}"), *changes)
        return RunFolder.create(tmp_path / name, job, {})

    return begin


def test_a_run_gets_its_own_copy_of_every_split(begun, data_set):
    folder = begun()

    dataset = data_step(folder, folder.job(), Silent())
    again = data_step(folder, folder.job(), Silent())

    assert dataset == again
    assert dataset.path.parent == folder.data
    assert {split: len(samples) for split, samples in dataset.splits.items()} == dict.fromkeys(
        ("train", "val", "test"), 3
    )
    figures = folder.figures("data")
    assert figures is not None
    assert (figures["train"], figures["classes"]) == (3, ["cat", "dog"])
    faults = json.loads((folder.path / "data_faults.json").read_text())
    assert (faults["images"], faults["faults"]) == (9, [])


def test_what_was_skipped_is_told_and_listed(begun, data_set):
    (data_set.parent / "images/train/0.png").write_bytes(b"")
    (data_set.parent / "labels/val/1.txt").write_text("0 0.5 0.5 0.2 0.4\n9 0 0 1 1\n")
    folder, heard = begun("\n  max_faulty_share: 0.5"), Heard()

    data_step(folder, folder.job(), heard)

    assert heard.notes == ["1 of 9 images, 1 label row skipped: see data_faults.json"]
    report = json.loads((folder.path / "data_faults.json").read_text())
    assert (report["skipped_images"], report["skipped_label_rows"]) == (1, 1)
    assert [fault["file"] for fault in report["faults"]] == [
        str(data_set.parent / "images/train/0.png"),
        str(data_set.parent / "labels/val/1.txt"),
    ]
    figures = folder.figures("data")
    assert figures is not None
    assert (figures["train"], figures["skipped_images"], figures["skipped_label_rows"]) == (2, 1, 1)


def test_a_refused_data_set_leaves_its_report_and_no_lock(begun, data_set):
    for index in range(2):
        (data_set.parent / f"images/train/{index}.png").write_bytes(b"")
    folder = begun()

    with pytest.raises(TooFaulty):
        data_step(folder, folder.job(), Silent())

    assert json.loads((folder.path / "data_faults.json").read_text())["skipped_images"] == 2
    assert not folder.data_lock.exists()
    assert folder.figures("data") is None


def test_duplicates_across_splits_are_refused(begun, data_set):
    source = data_set.parent / "images/train/1.png"
    (data_set.parent / "images/test/2.png").write_bytes(source.read_bytes())
    folder = begun()

    with pytest.raises(DuplicatesFound, match=r"images/train/1\.png and images/test/2\.png"):
        data_step(folder, folder.job(), Silent())


def test_almost_equal_pictures_are_told_and_drawn(begun, data_set):
    pixels = cv2.imread(str(data_set.parent / "images/val/2.png"))
    assert pixels is not None
    brighter = np.clip(pixels.astype(np.int16) + 6, 0, 255).astype(np.uint8)
    assert cv2.imwrite(str(data_set.parent / "images/train/0.png"), brighter)
    folder, heard = begun(), Heard()

    data_step(folder, folder.job(), heard)

    assert heard.notes == ["1 near-duplicate pair across splits: see near_duplicates.jpg"]
    assert (folder.path / "near_duplicates.jpg").stat().st_size > 1000
    closest = json.loads(folder.data_lock.read_text())["near_duplicates"]["closest"]
    assert closest[0]["files"] == ["images/train/0.png", "images/val/2.png"]


def test_a_run_of_the_older_schema_goes_on_with_its_own_data_set(begun, data_set):
    folder = begun()
    dataset = data_step(folder, folder.job(), Silent())
    content = json.loads(folder.data_lock.read_text())
    older = {"schema_version": 1, **{key: content[key] for key in ("class_names", "splits")}}
    folder.data_lock.write_text(json.dumps(older))

    reopened = data_step(folder, folder.job(), Silent())

    assert dataset.path != reopened.path == data_set


def test_a_data_set_that_grew_names_its_parent(begun, data_set):
    parent = begun(name="parent")
    data_step(parent, parent.job(), Silent())
    (data_set.parent / "images/test/2.png").rename(data_set.parent / "images/train/3.png")
    child, heard = begun(f"\n  parent: {parent.data_lock}", name="child"), Heard()

    data_step(child, child.job(), heard)

    assert heard.notes == ["1 image that data.parent measured on: trained on now"]
    named = json.loads(child.data_lock.read_text())["parent"]
    assert named["now_trained_on"] == ["images/train/3.png"]
    parent.data_lock.write_text("{}")
    with pytest.raises(DataChanged, match=r"parent/data\.lock: data\.parent changed"):
        data_step(child, child.job(), Silent())


@pytest.mark.parametrize(
    ("change", "whose"),
    [
        (("architecture: yolov5n\n  width: 0.125", "weights: {}"), "student.weights"),
        (("architecture: yolov8n\n  width: 0.125", "weights: {}"), "teacher.weights"),
        (("licences:", "gate: {{live: {}}}\nlicences:"), "gate.live"),
        (("name: tiny", "name: tiny"), None),
    ],
)
def test_models_of_the_parent_are_not_measured_on_what_they_were_trained_on(
    begun, data_set, tmp_path, change, whose
):
    parent = begun(name="parent")
    data_step(parent, parent.job(), Silent())
    model = parent.checkpoint("student")
    if whose == "gate.live":
        named = hashlib.sha256(parent.data_lock.read_bytes()).hexdigest()
        with zipfile.ZipFile(model, "w") as parts:
            parts.writestr("card.json", json.dumps({"lineage": {"data_lock_sha256": named}}))
    else:
        model.write_bytes(b"weights")
    taken = shutil.copy(model, tmp_path / "copy.pt") if whose == "student.weights" else model
    (data_set.parent / "images/train/2.png").rename(data_set.parent / "images/test/3.png")
    old, new = change
    child = begun(f"\n  parent: {parent.data_lock}", (old, new.format(taken)), name="child")
    heard = Heard()

    if whose is None:
        data_step(child, child.job(), heard)
        named = json.loads(child.data_lock.read_text())["parent"]
        assert named["now_measured_on"] == ["images/test/3.png"]
    else:
        with pytest.raises(DataSetInvalid, match=rf"{whose} \(.*was trained on 1 of the images"):
            data_step(child, child.job(), heard)

    assert "1 image that data.parent trained on: measured on now" in heard.notes


@pytest.mark.parametrize("place", ["teacher.pt", "training/student/weights/best.pt"])
def test_an_older_runs_model_is_known_by_the_folder_it_lies_in(begun, data_set, place):
    """No `parent:` is named: a pool split by another seed, or images that moved."""
    older = begun(name="older")
    data_step(older, older.job(), Silent())
    weights = older.path / place
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(b"weights")
    from_it = ("architecture: yolov5n\n  width: 0.125", f"weights: {weights}")
    same = begun("", from_it, name="same")
    data_step(same, same.job(), Silent())  # nothing has moved

    (data_set.parent / "images/train/2.png").rename(data_set.parent / "images/test/3.png")
    moved = begun("", from_it, name="moved")

    with pytest.raises(
        DataSetInvalid,
        match=r"older/data\.lock: student\.weights .*was trained on 1 of the images",
    ):
        data_step(moved, moved.job(), Silent())


def test_drawn_scenes_may_have_some_without_labels(write_job, tmp_path):
    job = write_job((SCENES, "scenes: {train: 8, val: 4, test: 4, unlabelled: 3, size: 96}"))
    folder = RunFolder.create(tmp_path / "run", job, {})

    dataset = data_step(folder, folder.job(), Silent())
    again = data_step(folder, folder.job(), Silent())

    assert dataset == again
    assert [sample.labelled for sample in dataset.split("train")] == [True] * 8 + [False] * 3
    figures = folder.figures("data")
    assert figures is not None
    assert (figures["train"], figures["unlabelled"]) == (8, 3)
