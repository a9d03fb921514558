import json
import shutil

import cv2
import numpy as np
import pytest
import yaml

from distill_jobs.data.dataset import Dataset
from distill_jobs.data.lock import check_lock, write_lock
from distill_jobs.data.staging import stage
from distill_jobs.environment import offline
from distill_jobs.errors import DataChanged, DataSetInvalid


@pytest.fixture
def lock(data_set, tmp_path):
    write_lock(tmp_path / "data.lock", Dataset.load(data_set))
    return tmp_path / "data.lock"


def test_a_lock_records_every_file_by_split_and_fits_its_data(data_set, lock):
    content = json.loads(lock.read_text())

    check_lock(lock, Dataset.load(data_set))

    assert content["class_names"] == ["cat", "dog"]
    assert sorted(content["splits"]) == ["test", "train", "val"]
    assert len(content["splits"]["val"]) == 6
    assert len(content["splits"]["val"]["images/val/0.png"]) == 64


def test_the_same_data_elsewhere_gives_the_same_lock(data_set, lock, tmp_path):
    shutil.copytree(data_set.parent, tmp_path / "copy")
    write_lock(tmp_path / "copy.lock", Dataset.load(tmp_path / "copy" / "data.yaml"))

    assert (tmp_path / "copy.lock").read_bytes() == lock.read_bytes()


def _edit_label(root):
    (root / "labels/train/0.txt").write_text("0 0.5 0.5 0.3 0.3\n")


def _remove_image(root):
    (root / "images/val/2.png").unlink()


def _add_image(root):
    assert cv2.imwrite(str(root / "images/test/9.png"), np.zeros((4, 4, 3), np.uint8))


def _rename_class(root):
    content = yaml.safe_load((root / "data.yaml").read_text())
    (root / "data.yaml").write_text(yaml.safe_dump({**content, "names": ["cat", "wolf"]}))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_edit_label, "labels/train/0.txt: changed since the lock: SHA-256"),
        (_remove_image, "images/val/2.png: is gone from the val split"),
        (_add_image, "images/test/9.png: is new in the test split"),
        (_rename_class, "its classes changed since the run began"),
    ],
)
def test_changed_data_is_refused_and_named(data_set, lock, change, says):
    change(data_set.parent)

    with pytest.raises(DataChanged) as caught:
        check_lock(lock, Dataset.load(data_set))

    assert says in caught.value.message


def test_staging_leaves_the_source_as_it_was(data_set, tmp_path):
    before = sorted(data_set.parent.rglob("*"))
    source = Dataset.load(data_set)

    staged = stage(source, tmp_path / "staged")
    staged_labels = staged.split("train")[0].labels
    assert staged_labels is not None
    staged_labels.write_text("")

    assert sorted(data_set.parent.rglob("*")) == before
    assert (data_set.parent / "labels/train/0.txt").read_text() != ""
    assert sorted(staged.splits) == ["train", "val"]
    assert [len(s.read_labels(60, 40)[0]) for s in staged.split("val")] == [1, 1, 1]


def test_a_jpeg_that_ultralytics_would_rewrite_is_copied(data_set, tmp_path):
    image = data_set.parent / "images/train/0.png"
    _, data = cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))
    odd = image.with_suffix(".jpg")
    odd.write_bytes(bytes(data) + b"trailing")
    image.unlink()

    staged = stage(Dataset.load(data_set), tmp_path / "staged")

    assert not staged.split("train")[0].image.is_symlink()
    assert staged.split("train")[1].image.is_symlink()


@pytest.mark.parametrize("patched", [False, True])
def test_a_file_that_is_no_image_is_refused(data_set, tmp_path, patched):
    if patched:  # ultralytics replaces Image.open
        offline()
        import ultralytics.utils.patches  # noqa: F401

    (data_set.parent / "images/val/1.png").write_bytes(b"not an image")

    with pytest.raises(DataSetInvalid, match=r"images/val/1\.png: not an image"):
        stage(Dataset.load(data_set), tmp_path / "staged")
