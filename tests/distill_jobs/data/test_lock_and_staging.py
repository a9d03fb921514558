import json
import shutil

import cv2
import numpy as np
import pytest
import yaml
from data_sets import describe, taken_in, texture, write_image

from distill_jobs.data.dataset import Dataset
from distill_jobs.data.lineage import check_parent, grown_from
from distill_jobs.data.lock import check_lock, read_lock
from distill_jobs.data.lock_writer import write_intake_lock, write_lock
from distill_jobs.data.staging import stage
from distill_jobs.environment import offline
from distill_jobs.errors import DataChanged, DataSetInvalid
from distill_jobs.recipe.data import Data


def locked(path, data_set, *, growth=None, **section):
    data = Data.model_validate({"path": str(data_set), **section})
    write_intake_lock(path, taken_in(data_set, **section), data, growth)
    return path


@pytest.fixture
def lock(data_set, tmp_path):
    return locked(tmp_path / "data.lock", data_set)


def test_a_lock_records_every_file_by_split_and_fits_its_data(data_set, lock):
    content = json.loads(lock.read_text())

    check_lock(lock, Dataset.load(data_set))

    assert content["schema_version"] == 2
    assert content["class_names"] == ["cat", "dog"]
    assert list(content["splits"]) == ["train", "val", "test"]
    assert len(content["splits"]["val"]) == 6
    assert len(content["splits"]["val"]["images/val/0.png"]) == 64


def test_the_same_data_elsewhere_gives_the_same_lock(data_set, lock, tmp_path):
    shutil.copytree(data_set.parent, tmp_path / "copy")

    copied = locked(tmp_path / "copy.lock", tmp_path / "copy/data.yaml")

    assert copied.read_bytes() == lock.read_bytes()


def _edit_label(root):
    (root / "labels/train/0.txt").write_text("0 0.5 0.5 0.3 0.3\n")


def _remove_image(root):
    (root / "images/val/2.png").unlink()


def _add_image(root):
    write_image(root / "images/test/9.png", texture(9))


def _rename_class(root):
    describe(root / "data.yaml", names=["cat", "wolf"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_edit_label, "labels/train/0.txt: changed since the lock: SHA-256"),
        (_remove_image, "images/val/2.png: is gone from the val split"),
        (_add_image, "images/test/9.png: is new in the test split"),
        (_rename_class, "its classes changed since the run began"),
    ],
)
@pytest.mark.parametrize("schema_version", [1, 2])
def test_changed_data_is_refused_and_named(data_set, lock, change, says, schema_version):
    if schema_version == 1:
        content = json.loads(lock.read_text())
        kept = {key: content[key] for key in ("class_names", "splits")}
        lock.write_text(json.dumps({"schema_version": 1, **kept}))
    check_lock(lock, Dataset.load(data_set))
    change(data_set.parent)

    with pytest.raises(DataChanged) as caught:
        check_lock(lock, Dataset.load(data_set))

    assert says in caught.value.message


def test_a_lock_of_another_time_is_refused(tmp_path):
    lock = tmp_path / "data.lock"
    lock.write_text('{"schema_version": 3, "class_names": [], "splits": {}}')

    with pytest.raises(DataSetInvalid, match="has schema version 3; this code reads 1 and 2"):
        read_lock(lock)
    lock.write_text("[]")
    with pytest.raises(DataSetInvalid, match=r"is no readable data\.lock"):
        read_lock(lock)


def test_what_was_skipped_is_in_the_lock_and_mending_it_is_a_change(data_set, tmp_path):
    broken = data_set.parent / "images/train/0.png"
    sound = broken.read_bytes()
    broken.write_bytes(sound[:60])
    (data_set.parent / "labels/val/1.txt").write_text("0 0.5 0.5 0.2 0.4\n9 0 0 1 1\n")

    lock = locked(tmp_path / "data.lock", data_set)

    content = json.loads(lock.read_text())
    check_lock(lock, Dataset.load(data_set))
    (skipped,), (row,) = content["skipped"], content["skipped_label_rows"]
    assert (skipped["file"], skipped["split"]) == ("images/train/0.png", "train")
    assert (row["file"], row["line"]) == ("labels/val/1.txt", 2)
    assert "images/train/0.png" not in content["splits"]["train"]
    broken.write_bytes(sound)
    with pytest.raises(DataChanged, match=r"images/train/0\.png: changed since the lock"):
        check_lock(lock, Dataset.load(data_set))


def test_a_class_map_is_in_the_lock_and_the_source_is_still_checked(data_set, tmp_path):
    lock = locked(tmp_path / "data.lock", data_set, classes={"pet": ["cat", "dog"]})

    read = read_lock(lock)

    assert read.class_names == ("pet",)
    assert json.loads(lock.read_text())["class_map"] == {"cat": "pet", "dog": "pet"}
    check_lock(lock, Dataset.load(data_set))
    _rename_class(data_set.parent)
    with pytest.raises(DataChanged, match=r"locked \['cat', 'dog'\], now \['cat', 'wolf'\]"):
        check_lock(lock, Dataset.load(data_set))


def test_a_lock_names_the_lock_it_grew_from(data_set, lock, tmp_path):
    root = data_set.parent
    write_image(root / "images/train/9.png", texture(9))
    (root / "images/train/0.png").unlink()
    shutil.move(root / "images/test/2.png", root / "images/train/2b.png")
    shutil.move(root / "images/train/1.png", root / "images/val/1b.png")
    intake = taken_in(data_set)

    growth = grown_from(lock, intake.pieces, root)
    child = locked(tmp_path / "child.lock", data_set, growth=growth)

    assert (growth.kept, growth.added, growth.removed) == (8, 1, 1)
    assert growth.now_trained_on == ("images/train/2b.png",)
    assert growth.now_measured_on == ("images/val/1b.png",)
    assert json.loads(child.read_text())["parent"] == growth.described()
    check_parent(child, lock)
    lock.write_text(lock.read_text() + "\n")
    with pytest.raises(DataChanged, match=r"data\.parent changed since the run began"):
        check_parent(child, lock)
    with pytest.raises(DataSetInvalid, match=r"data\.yaml: is no readable data\.lock"):
        grown_from(data_set, intake.pieces, root)


def test_staging_leaves_the_source_as_it_was(data_set, tmp_path):
    before = sorted(data_set.parent.rglob("*"))

    staged = stage(taken_in(data_set), tmp_path / "staged")
    staged_labels = staged.split("train")[0].labels
    assert staged_labels is not None
    staged_labels.write_text("")

    assert sorted(data_set.parent.rglob("*")) == before
    assert (data_set.parent / "labels/train/0.txt").read_text() != ""
    assert sorted(staged.splits) == ["test", "train", "val"]
    assert [len(s.read_labels(60, 40)[0]) for s in staged.split("val")] == [1, 1, 1]


def test_staging_needs_what_training_reads(data_set, tmp_path):
    content = yaml.safe_load(data_set.read_text())
    del content["val"]
    data_set.write_text(yaml.safe_dump(content))

    with pytest.raises(DataSetInvalid, match=r"has no 'val' split, only train, test; add `val:`"):
        stage(taken_in(data_set), tmp_path / "staged")


def test_a_jpeg_that_ultralytics_would_rewrite_is_copied(data_set, tmp_path):
    image = data_set.parent / "images/train/0.png"
    _, data = cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))
    odd = image.with_suffix(".jpg")
    odd.write_bytes(bytes(data) + b"trailing")
    image.unlink()

    staged = stage(taken_in(data_set), tmp_path / "staged")

    assert not staged.split("train")[0].image.is_symlink()
    assert staged.split("train")[1].image.is_symlink()


@pytest.mark.parametrize("patched", [False, True])
def test_a_file_that_is_no_image_is_skipped(data_set, tmp_path, patched):
    if patched:  # ultralytics replaces Image.open
        offline()
        import ultralytics.utils.patches  # noqa: F401

    (data_set.parent / "images/val/1.bmp").write_bytes(b"not an image")

    staged = stage(taken_in(data_set), tmp_path / "staged")

    assert len(staged.split("val")) == 3


def test_a_drawn_data_set_is_locked_whole(data_set, tmp_path):
    write_lock(tmp_path / "drawn.lock", Dataset.load(data_set))

    check_lock(tmp_path / "drawn.lock", Dataset.load(data_set))

    _edit_label(data_set.parent)
    with pytest.raises(DataChanged, match=r"labels/train/0\.txt: changed"):
        check_lock(tmp_path / "drawn.lock", Dataset.load(data_set))
