import numpy as np
import pytest
import yaml

from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import data_root
from distill_jobs.errors import DataSetInvalid


def test_reads_boxes_in_pixels(data_set):
    dataset = Dataset.load(data_set)

    class_ids, boxes = dataset.split("train")[1].read_labels(60, 40)

    assert dataset.class_names == ("cat", "dog")
    assert class_ids.tolist() == [1]
    np.testing.assert_allclose(boxes, [[24, 12, 36, 28]])
    assert boxes.dtype == np.float32


def test_an_image_without_a_label_file_shows_no_object(data_set):
    (data_set.parent / "labels/train/0.txt").unlink()

    class_ids, boxes = Dataset.load(data_set).split("train")[0].read_labels(60, 40)

    assert class_ids.shape == (0,)
    assert boxes.shape == (0, 4)


def test_a_polygon_stands_for_its_bounding_box(data_set):
    (data_set.parent / "labels/train/0.txt").write_text("0 0.1 0.5 0.5 0.1 0.3 0.9\n")

    _, boxes = Dataset.load(data_set).split("train")[0].read_labels(100, 100)

    np.testing.assert_allclose(boxes, [[10, 10, 50, 90]], rtol=1e-5)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("2 0.5 0.5 0.1 0.1", "class id 2 is out of range: the data set names 2 classes, 0 to 1"),
        ("-1 0.5 0.5 0.1 0.1", "class id -1 is out of range"),
        ("0.5 0.5 0.5 0.1 0.1", "class id 0.5 is out of range"),
        ("0 31 0.5 0.1 0.1", "cx is 31, outside 0 to 1: coordinates are fractions"),
        ("0 0.5 0.5 0.1 -0.1", "h is -0.1, outside 0 to 1"),
        ("0 0.5 nan 0.1 0.1", "cy is nan, outside 0 to 1"),
        ("0 0.5 0.5 0 0.1", "w and h must be above 0, not 0 and 0.1"),
        ("0 0.5 0.5 0.1", "5 values; this one has 4"),
        ("cat 0.5 0.5 0.1 0.1", "not numbers: 'cat 0.5"),
        ("0 0.1 0.1 0.5 0.5 0.2 1.5", "polygon point is 1.5"),
    ],
)
def test_a_label_that_does_not_fit_names_file_line_and_value(data_set, row, says):
    labels = data_set.parent / "labels/val/1.txt"
    labels.write_text(f"0 0.5 0.5 0.1 0.1\n{row}\n")

    sample = Dataset.load(data_set).split("val")[1]
    with pytest.raises(DataSetInvalid) as caught:
        sample.read_labels(60, 40)

    assert (caught.value.file, caught.value.line) == (labels, 2)
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"train": "images/nowhere"}, "neither a folder of images nor a list"),
        ({"names": {0: "a", 2: "b"}}, "must number the classes 0 to 1, not [0, 2]"),
        ({"names": {0: "a", "x": "b"}}, "must number the classes 0 to 1, not [0, 'x']"),
        ({"names": ["cat", "cat"]}, "`names:` has 'cat' twice"),
        ({"names": []}, "must list at least one class"),
        ({"unlabelled": "images/test"}, "`test: images/test` holds "),
        ({"train": None, "val": None, "test": None}, "names no split"),
        ({"train": "labels/train"}, "holds no image (.bmp, .jpeg, .jpg, .png, .webp)"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(data_set, change, says):
    content = {**yaml.safe_load(data_set.read_text()), **change}
    data_set.write_text(yaml.safe_dump(content))

    with pytest.raises(DataSetInvalid) as caught:
        Dataset.load(data_set)

    assert says in caught.value.message


def test_images_without_any_label_are_refused(data_set):
    for labels in (data_set.parent / "labels/train").iterdir():
        labels.unlink()

    with pytest.raises(DataSetInvalid, match="none of its 3 images has a label file"):
        Dataset.load(data_set)


def test_a_missing_split_or_file_is_told_plainly(data_set, tmp_path):
    with pytest.raises(DataSetInvalid, match=r"has no 'holdout' split, only train, val, test"):
        Dataset.load(data_set).split("holdout")
    with pytest.raises(DataSetInvalid, match="no such data set file"):
        Dataset.load(tmp_path / "absent.yaml")


def test_a_list_of_images_names_the_line_of_a_missing_one(data_set):
    listing = data_set.parent / "train.txt"
    listing.write_text("images/train/0.png\n\nimages/train/9.png\n")
    content = {**yaml.safe_load(data_set.read_text()), "train": "train.txt"}
    data_set.write_text(yaml.safe_dump(content))

    with pytest.raises(DataSetInvalid, match=r"train\.txt:3: no such image"):
        Dataset.load(data_set)


def test_a_list_that_is_no_text_is_told_plainly(data_set):
    listing = data_set.parent / "train.txt"
    listing.write_bytes("images/train/Käse.png\n".encode("latin-1"))
    content = {**yaml.safe_load(data_set.read_text()), "train": "train.txt"}
    data_set.write_text(yaml.safe_dump(content))

    with pytest.raises(DataSetInvalid, match=r"train\.txt: is no text in UTF-8"):
        Dataset.load(data_set)


@pytest.mark.parametrize(("name", "classes", "val"), [("bccd", 3, 87), ("coco256", 80, 128)])
def test_the_real_data_sets_fit(name, classes, val):
    if not data_root().exists():
        pytest.skip("UNDERSTUDY_DATA is absent: the real data sets cannot be read")

    dataset = Dataset.load(data_root() / name / "data.yaml")
    for samples in dataset.splits.values():
        for sample in samples:
            sample.read_labels(640, 480)

    assert len(dataset.class_names) == classes
    assert len(dataset.split("val")) == val
