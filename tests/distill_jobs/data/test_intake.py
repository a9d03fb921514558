import shutil

import cv2
import numpy as np
import pytest
from data_sets import describe, taken_in, texture, write_image
from encoded_images import in_a_damaged_animation, in_every_format
from PIL import Image

from distill_jobs.data.intake import refuse_duplicates, refuse_faulty
from distill_jobs.data.staging import stage
from distill_jobs.errors import DataSetInvalid, DuplicatesFound, TooFaulty
from distill_jobs.recipe.data import Data
from handlers.images import decode


def section(data_set, **changes):
    return Data.model_validate({"path": str(data_set), **changes})


def jpeg(seed: int) -> bytes:
    done, data = cv2.imencode(".jpg", texture(seed))
    assert done
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("0.png", b"", "is empty"),
        ("0.png", b"not an image", "its first bytes are those of no JPEG, PNG or WebP"),
        ("0.jpg", jpeg(1)[:-300], "before its end marker"),
        ("0.png", bytes(cv2.imencode(".png", texture(1))[1])[:-40], "before its end marker"),
        ("0.png", bytes(cv2.imencode(".png", texture(1, side=8))[1]), "is 8x8 pixels; each side"),
        ("0.bmp", b"BM no bitmap", "is not a BMP image"),
    ],
)
def test_a_broken_image_is_skipped_and_listed(data_set, name, content, why):
    (data_set.parent / "images/train/0.png").unlink()
    broken = data_set.parent / "images/train" / name
    broken.write_bytes(content)

    intake = taken_in(data_set)

    (fault,) = intake.faults
    assert (fault.file, fault.split, fault.line) == (broken, "train", 0)
    assert why in fault.why
    assert [piece.image.name for piece in intake.split("train")] == ["1.png", "2.png"]
    refuse_faulty(intake, section(data_set))


def test_a_damaged_png_that_pillow_refuses_is_skipped(data_set):
    """Ultralytics would leave it out without a word, though OpenCV decodes it."""
    broken = data_set.parent / "images/val/1.png"
    data = bytearray(broken.read_bytes())
    at = data.index(b"IDAT") + 4
    length = int.from_bytes(data[at - 8 : at - 4], "big")
    data[at + length] ^= 0xFF  # the chunk's checksum
    broken.write_bytes(bytes(data))

    (fault,) = taken_in(data_set).faults

    assert fault.file == broken


def test_odd_metadata_is_nobodys_business(data_set):
    # Its only directory ends in the middle of its first entry.
    exif = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00"
    odd = data_set.parent / "images/train/0.jpg"
    Image.fromarray(texture(70)).save(odd, exif=exif)
    with pytest.warns(UserWarning, match="Corrupt EXIF data"), Image.open(odd) as image:
        image.verify()

    assert not taken_in(data_set).faults


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("2 0.5 0.5 0.1 0.1", "class id 2 is out of range"),
        ("0 31 0.5 0.1 0.1", "cx is 31, outside 0 to 1"),
        ("0 0.5 nan 0.1 0.1", "cy is nan"),
        ("0 0.5 0.5 0 0.1", "w and h must be above 0"),
        ("0 0.5 0.5 0.1", "5 values; this one has 4"),
        ("cat 0.5 0.5 0.1 0.1", "not numbers"),
        ("0 0.5 0.5 0.2 0.4", "repeats line 1"),
        ("0 0.50 5e-1 0.2000 0.4", "repeats line 1"),
        ("0 0.4 0.3 0.6 0.3 0.6 0.7 0.4 0.7", "repeats line 1"),
    ],
)
def test_a_broken_label_row_is_skipped_and_the_rest_of_its_image_used(data_set, tmp_path, row, why):
    labels = data_set.parent / "labels/val/1.txt"
    labels.write_text(f"0 0.5 0.5 0.2 0.4\n{row}\n1 0.3 0.3 0.1 0.1\n")

    intake = taken_in(data_set)
    staged = stage(intake, tmp_path / "staged")

    (fault,) = intake.faults
    assert (fault.file, fault.split, fault.line) == (labels, "val", 2)
    assert why in fault.why
    class_ids, boxes = staged.split("val")[1].read_labels(100, 100)
    assert class_ids.tolist() == [0, 1]
    np.testing.assert_allclose(boxes, [[40, 30, 60, 70], [25, 25, 35, 35]], atol=1e-4)


@pytest.mark.parametrize("content", [b"0 400 300 20 20\n1 500 300 20 20\n", b"\xff\xfe\x00 1"])
def test_an_image_without_a_sound_row_is_skipped_rather_than_taught_as_background(
    data_set, content
):
    labels = data_set.parent / "labels/train/0.txt"
    labels.write_bytes(content)

    intake = taken_in(data_set)

    (fault,) = intake.faults
    assert (fault.file, fault.line) == (labels, 0)
    assert len(intake.split("train")) == 2


def test_an_image_with_an_empty_label_file_or_none_is_background(data_set, tmp_path):
    (data_set.parent / "labels/train/0.txt").write_text("")
    (data_set.parent / "labels/train/1.txt").unlink()

    intake = taken_in(data_set)
    staged = stage(intake, tmp_path / "staged")

    assert not intake.faults
    assert [len(s.read_labels(60, 40)[0]) for s in staged.split("train")] == [0, 0, 1]
    assert all(sample.labelled for sample in staged.split("train"))


def test_outlines_beside_boxes_become_boxes(data_set, tmp_path):
    """Ultralytics leaves an image out whose label file mixes the two."""
    labels = data_set.parent / "labels/train/0.txt"
    labels.write_text("0 0.5 0.5 0.2 0.4\n1 0.1 0.5 0.5 0.1 0.3 0.9\n")

    staged = stage(taken_in(data_set), tmp_path / "staged")

    mended = staged.split("train")[0].labels
    assert mended is not None
    assert {len(row.split()) for row in mended.read_text().splitlines()} == {5}
    _, boxes = staged.split("train")[0].read_labels(100, 100)
    np.testing.assert_allclose(boxes, [[40, 30, 60, 70], [10, 10, 50, 90]], atol=1e-3)


def test_too_many_faults_are_refused(data_set):
    for split in ("train", "val"):
        (data_set.parent / f"images/{split}/0.png").write_bytes(b"")

    with pytest.raises(TooFaulty, match=r"2 of 9 images are faulty, more than data\.max_faulty_"):
        refuse_faulty(taken_in(data_set), section(data_set))

    refuse_faulty(taken_in(data_set), section(data_set, max_faulty_share=0.3))


def test_one_faulty_image_is_refused_where_the_job_lets_none_through(data_set):
    (data_set.parent / "images/train/0.png").write_bytes(b"")

    refuse_faulty(taken_in(data_set), section(data_set, max_faulty_share=0.01))
    with pytest.raises(TooFaulty, match="1 of 9 images are faulty"):
        refuse_faulty(taken_in(data_set), section(data_set, max_faulty_share=0))


def test_a_split_without_a_sound_image_is_refused(data_set):
    for image in (data_set.parent / "images/val").iterdir():
        image.write_bytes(b"")

    with pytest.raises(TooFaulty, match=r"every image of the val split was skipped\. 0\.png: is"):
        refuse_faulty(taken_in(data_set), section(data_set, max_faulty_share=1))


def test_a_bitmap_is_staged_as_what_workers_read(data_set, tmp_path):
    image = write_image(data_set.parent / "images/train/0.bmp", texture(7))
    (data_set.parent / "images/train/0.png").unlink()

    staged = stage(taken_in(data_set), tmp_path / "staged").split("train")[0]

    assert staged.image.name == "000000-0.png"
    np.testing.assert_array_equal(cv2.imread(str(staged.image)), cv2.imread(str(image)))


def test_of_an_animation_its_first_picture_is_staged(data_set, tmp_path):
    """A damaged one would end the process of a training inside OpenCV."""
    (data_set.parent / "images/train/0.png").write_bytes(in_a_damaged_animation())

    staged = stage(taken_in(data_set), tmp_path / "staged").split("train")[0]

    assert b"fdAT" not in staged.image.read_bytes()
    first = decode(in_every_format()["png-animated"])
    np.testing.assert_array_equal(cv2.imread(str(staged.image))[..., ::-1], first)


def test_the_same_picture_on_two_sides_is_refused_whatever_its_file(data_set):
    root = data_set.parent
    pixels = cv2.imread(str(root / "images/train/1.png"))
    assert pixels is not None
    # Another format, another name: other bytes, the same pixels.
    (root / "images/test/0.png").unlink()
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101]
    assert cv2.imwrite(str(root / "images/test/0.webp"), pixels, lossless)

    with pytest.raises(DuplicatesFound, match=r"images/train/1\.png and images/test/0\.webp") as e:
        refuse_duplicates(taken_in(data_set), section(data_set))

    assert e.value.pairs == ((root / "images/train/1.png", root / "images/test/0.webp"),)


def test_the_same_picture_twice_on_one_side_is_nobodys_business(data_set):
    root = data_set.parent
    shutil.copy(root / "images/train/1.png", root / "images/train/9.png")

    intake = taken_in(data_set)

    refuse_duplicates(intake, section(data_set))
    assert intake.near.count == 0


def test_almost_the_same_picture_is_listed_or_refused(data_set):
    root = data_set.parent
    pixels = cv2.imread(str(root / "images/val/2.png"))
    assert pixels is not None
    brighter = np.clip(pixels.astype(np.int16) + 6, 0, 255).astype(np.uint8)
    write_image(root / "images/train/0.png", brighter)
    intake = taken_in(data_set)

    (pair,) = intake.near.closest
    refuse_duplicates(intake, section(data_set))
    with pytest.raises(DuplicatesFound, match="almost the same picture lies on two sides"):
        refuse_duplicates(intake, section(data_set, near_duplicates="refuse"))

    assert (pair.one.image.name, pair.one.split) == ("0.png", "train")
    assert (pair.other.image.name, pair.other.split) == ("2.png", "val")


def test_classes_are_renamed_merged_and_dropped(data_set, tmp_path):
    describe(data_set, names=["cat", "dog", "car"])
    labels = data_set.parent / "labels/train/0.txt"
    labels.write_text(
        "2 0.5 0.5 0.2 0.4\n0 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1\n0 0.1 0.1 0.1 0.1\n"
    )

    intake = taken_in(data_set, classes={"vehicle": "car", "pet": ["cat"]})
    staged = stage(intake, tmp_path / "staged")

    assert staged.class_names == ("vehicle", "pet")
    assert staged.split("train")[0].read_labels(9, 9)[0].tolist() == [0, 1, 1]
    assert intake.dropped == 4  # that dog, and the one of each split's image 1
    assert [len(s.read_labels(9, 9)[0]) for s in staged.split("val")] == [1, 0, 1]
    assert intake.class_map.described() == {"cat": "pet", "dog": None, "car": "vehicle"}


def test_what_becomes_one_class_is_one_object(data_set, tmp_path):
    describe(data_set, names=["cat", "dog", "car"])
    labels = data_set.parent / "labels/test/0.txt"
    labels.write_text("0 0.5 0.5 0.2 0.4\n1 0.5 0.5 0.2 0.4\n2 0.5 0.5 0.2 0.4\n")

    intake = taken_in(data_set, classes={"animal": ["cat", "dog"]})

    assert len(intake.split("test")[0].rows) == 1
    (fault,) = intake.faults
    assert (fault.line, fault.why) == (2, "repeats line 1")
    assert intake.dropped == 1  # the car
    staged = stage(intake, tmp_path / "staged").split("test")[0]
    assert staged.read_labels(9, 9)[0].tolist() == [0]


@pytest.mark.parametrize("empty", ["no label file", "no row", "another class"])
def test_a_split_that_shows_nothing_is_refused(data_set, empty):
    """Everything is found of nothing: a gate would let anything pass."""
    for labels in (data_set.parent / "labels/test").iterdir():
        labels.write_text("1 0.5 0.5 0.2 0.4\n" if empty == "another class" else "")
    if empty == "no label file":  # one image has one still, or the data set is refused already
        (data_set.parent / "labels/test/0.txt").unlink()
    changes = {"classes": {"cat": "cat"}} if empty == "another class" else {}

    with pytest.raises(DataSetInvalid, match="no image of the test split shows an object"):
        refuse_faulty(taken_in(data_set, **changes), section(data_set, **changes))


def test_swapped_names_swap_the_ids(data_set, tmp_path):
    staged = stage(taken_in(data_set, classes={"cat": "dog", "dog": "cat"}), tmp_path / "staged")

    assert staged.class_names == ("cat", "dog")
    assert [s.read_labels(9, 9)[0].tolist() for s in staged.split("val")] == [[1], [0], [1]]


def test_a_class_that_the_data_set_lacks_is_refused(data_set):
    with pytest.raises(DataSetInvalid, match=r"data\.classes names 'cow'; the data set has cat, d"):
        taken_in(data_set, classes={"animal": ["cat", "cow"]})
