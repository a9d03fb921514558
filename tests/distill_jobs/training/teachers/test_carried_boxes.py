"""Teachers' boxes land where augmentation takes the picture."""

import random

import cv2
import numpy as np
import pytest
import torch

from distill_jobs.training.teachers.classes import ClassMap

SIDE = 96
MARKERS = {
    "red": (255, 30, 30),
    "green": (30, 255, 30),
    "blue": (30, 30, 255),
    "pink": (255, 30, 255),
}


@pytest.fixture
def folder(tmp_path):
    """Four grey pictures with a coloured rectangle each, of several shapes; labels elsewhere."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for index, colour in enumerate(MARKERS.values()):
        height, width = 70 + 10 * index, 96 - 8 * index
        picture = np.full((height, width, 3), 90, np.uint8)
        x1, y1, x2, y2 = marker(index)
        picture[y1:y2, x1:x2] = colour[::-1]
        assert cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), picture)
        (tmp_path / "labels" / f"{index}.txt").write_text("0 0.5 0.5 0.9 0.9\n")
    return tmp_path


def marker(index):
    return (16 + 4 * index, 20 + 2 * index, 44 + 4 * index, 52 + 2 * index)


def found(index):
    from distill_jobs.training.teachers.found import Found

    return Found(
        np.array([marker(index)], np.float32),
        np.array([0.25 + index / 8], np.float32),
        np.array([index], np.int64),
        width=96 - 8 * index,
        height=70 + 10 * index,
    )


def dataset(folder, *, unlabelled=frozenset(), boxes=None, **changes):
    from ultralytics.cfg import get_cfg

    from distill_jobs.training.teachers.carried import rows_of
    from distill_jobs.training.teachers.taught_dataset import TaughtDataset, training_options

    if boxes is None:
        boxes = {f"{index}.png": rows_of(found(index), 1) for index in range(len(MARKERS))}
    plain = dict.fromkeys(("hsv_h", "hsv_s", "hsv_v"), 0.0)
    args = get_cfg(overrides={"imgsz": SIDE, "task": "detect", "cache": "ram", **plain, **changes})
    data = {"names": dict(enumerate("abcd")), "nc": 4, "channels": 3}
    options = training_options(args, data, str(folder / "images"), 4, 32)
    return TaughtDataset(boxes=boxes, unlabelled=unlabelled, **options)


def box_of_colour(picture, colour):
    """Find the outline of a colour, pixels; None where less than 60 pixels of it are seen."""
    far = np.abs(picture.astype(int) - np.array(colour)).max(axis=2)
    rows, columns = np.nonzero(far < 90)
    if len(rows) < 60:
        return None
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def outline_at(picture, colour, box):
    """Find the outline of the patch of a colour that lies under a box's centre, pixels."""
    near = np.abs(picture.astype(int) - np.array(colour)).max(axis=2) < 90
    _, patches = cv2.connectedComponents(near.astype(np.uint8))
    x, y = ((box[:2] + box[2:]) / 2).int().tolist()
    assert patches[y, x] > 0, "no marker lies under the box"
    rows, columns = np.nonzero(patches == patches[y, x])
    outline = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return torch.tensor(outline, dtype=torch.float32)


def answer(batch):
    from distill_jobs.training.teachers.carried import BoxesTeacher

    teacher = BoxesTeacher(1, ClassMap.between(tuple("abcd"), tuple("abcd")))
    return teacher.answer({**batch, "img": batch["img"].float() / 255})


@pytest.mark.parametrize(
    "changes",
    [
        {"mosaic": 0.0, "scale": 0.0, "translate": 0.0, "fliplr": 0.0},
        {"mosaic": 0.0, "scale": 0.0, "translate": 0.0, "fliplr": 1.0},
        {"mosaic": 0.0, "scale": 0.4, "translate": 0.2, "fliplr": 0.5, "flipud": 0.5},
        {"mosaic": 1.0, "scale": 0.3, "translate": 0.1, "fliplr": 0.5},
    ],
    ids=["letterbox", "flip", "affine", "mosaic"],
)
def test_boxes_go_where_the_picture_goes(folder, changes):
    split = dataset(folder, **changes)
    random.seed(4)
    checked = 0

    for _ in range(8):
        batch = split.collate_fn([split[index] for index in range(len(split))])
        said = answer(batch)
        for place, image in enumerate(batch["img"]):
            picture = image.permute(1, 2, 0).numpy()
            boxes, ids = said.boxes_xyxy_px[place], said.class_ids[place]
            for box, class_id, score in zip(boxes, ids, said.scores[place], strict=True):
                # A picture may lie twice in a mosaic: look at the marker under this very box.
                seen = outline_at(picture, list(MARKERS.values())[class_id], box)
                torch.testing.assert_close(box, seen, atol=2.5, rtol=0)
                assert score.item() == pytest.approx(0.25 + class_id / 8)
                checked += 1

    assert checked > 25


def test_labels_are_what_they_would_be_without_a_teacher(folder):
    batches = []
    for boxes in ({}, None):
        split = dataset(folder, boxes=boxes, mosaic=1.0)
        random.seed(7)
        np.random.seed(7)  # noqa: NPY002  # what ultralytics draws from
        batches.append(split.collate_fn([split[index] for index in range(len(split))]))

    alone, taught = batches
    assert "carried" not in alone
    for key in ("img", "cls", "bboxes", "batch_idx"):
        assert torch.equal(alone[key].float(), taught[key].float()), key


def test_polygon_labels_and_boxes_travel_together(folder):
    polygon = "0 0.3 0.3 0.6 0.3 0.6 0.6 0.3 0.6 0.2 0.5\n"
    for index in range(len(MARKERS)):
        (folder / "labels" / f"{index}.txt").write_text(polygon)
    split = dataset(folder, mosaic=0.0, scale=0.0, translate=0.0, fliplr=1.0)

    batch = split.collate_fn([split[index] for index in range(len(split))])
    said = answer(batch)

    for index, colour in enumerate(MARKERS.values()):
        seen = box_of_colour(batch["img"][index].permute(1, 2, 0).numpy(), colour)
        torch.testing.assert_close(
            said.boxes_xyxy_px[index][0], torch.tensor(seen, dtype=torch.float32), atol=2.5, rtol=0
        )
    assert batch["cls"].shape == (len(MARKERS), 1)


def test_an_image_in_which_nothing_was_found_and_nothing_labelled(folder):
    from distill_jobs.training.teachers.carried import rows_of
    from distill_jobs.training.teachers.found import Found

    (folder / "labels" / "0.txt").write_text("")
    boxes = {f"{index}.png": rows_of(found(index), 1) for index in range(len(MARKERS))}
    nothing = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    boxes["0.png"] = rows_of(Found(*nothing, width=96, height=70), 1)
    split = dataset(folder, boxes=boxes, mosaic=0.0, scale=0.0, translate=0.0)

    batch = split.collate_fn([split[index] for index in range(len(split))])
    said = answer(batch)

    assert [len(boxes) for boxes in said.boxes_xyxy_px] == [0, 1, 1, 1]
    assert batch["batch_idx"].tolist() == [1, 2, 3]
    assert said.class_ids[0].dtype == torch.int64


@pytest.mark.parametrize("boxes_in_background", [1, 2])
@pytest.mark.parametrize("labels", ["0 0.5 0.5 0.9 0.9\n", "0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n"])
def test_what_was_found_in_an_image_without_objects_joins_a_mosaic(
    folder, labels, boxes_in_background
):
    from distill_jobs.training.teachers.carried import rows_of

    for index in range(len(MARKERS)):
        (folder / "labels" / f"{index}.txt").write_text(labels if index else "")
    boxes = {f"{index}.png": rows_of(found(index), 1) for index in range(len(MARKERS))}
    boxes["0.png"] = np.repeat(boxes["0.png"], boxes_in_background, axis=0)
    split = dataset(folder, boxes=boxes, mosaic=1.0, scale=0.3)
    random.seed(4)
    seen = set()

    for _ in range(8):
        batch = split.collate_fn([split[index] for index in range(len(split))])
        said = answer(batch)
        for place, image in enumerate(batch["img"]):
            picture = image.permute(1, 2, 0).numpy()
            for box, class_id in zip(said.boxes_xyxy_px[place], said.class_ids[place], strict=True):
                marker_here = outline_at(picture, list(MARKERS.values())[class_id], box)
                torch.testing.assert_close(box, marker_here, atol=2.5, rtol=0)
                seen.add(int(class_id))

    assert seen == {0, 1, 2, 3}


def test_each_teacher_gets_its_own_boxes(folder):
    from distill_jobs.training.teachers.carried import BoxesTeacher, rows_of

    both = {
        f"{index}.png": np.concatenate((rows_of(found(index), 1), rows_of(found(0), 2)))
        for index in range(len(MARKERS))
    }
    split = dataset(folder, boxes=both, mosaic=0.0, scale=0.0, translate=0.0)
    batch = split.collate_fn([split[index] for index in range(len(split))])
    other = BoxesTeacher(2, ClassMap.between(("a", "z"), tuple("abcd")), weight=0.5)

    first = answer(batch)
    second = other.answer({**batch, "img": batch["img"].float() / 255})

    assert [ids.tolist() for ids in first.class_ids] == [[0], [1], [2], [3]]
    assert [ids.tolist() for ids in second.class_ids] == [[0], [0], [0], [0]]
    assert (second.known.tolist(), other.weight) == ([True, False, False, False], 0.5)
    assert other.shape is None


def test_a_mosaic_joins_images_of_one_kind(folder):
    split = dataset(folder, boxes={}, unlabelled=frozenset({"2.png", "3.png"}), mosaic=1.0)
    unlabelled = (MARKERS["blue"], MARKERS["pink"])
    labelled = (MARKERS["red"], MARKERS["green"])
    random.seed(1)

    for _ in range(6):
        batch = split.collate_fn([split[index] for index in range(4)])
        assert batch["labelled"].tolist() == [True, True, False, False]
        for image, is_labelled in zip(batch["img"], batch["labelled"], strict=True):
            picture = image.permute(1, 2, 0).numpy()
            strangers = unlabelled if is_labelled else labelled
            assert all(box_of_colour(picture, colour) is None for colour in strangers)


def test_kinds_stay_known_once_mosaics_have_ended(folder):
    from ultralytics.cfg import get_cfg

    split = dataset(folder, boxes={}, unlabelled=frozenset({"0.png"}), mosaic=1.0)

    split.close_mosaic(get_cfg(overrides={"imgsz": SIDE, "task": "detect"}))
    batch = split.collate_fn([split[index] for index in range(4)])

    assert batch["labelled"].tolist() == [False, True, True, True]


def test_without_a_teacher_unlabelled_images_are_left_out(folder):
    from distill_jobs.training.teachers.taught_dataset import LabelledDataset, training_options

    plain = dataset(folder, boxes={})
    options = training_options(plain_args(), plain.data, str(folder / "images"), 4, 32)

    split = LabelledDataset(unlabelled=frozenset({"1.png"}), **options)

    assert [file.rsplit("/", 1)[1] for file in split.im_files] == ["0.png", "2.png", "3.png"]


def plain_args():
    from ultralytics.cfg import get_cfg

    return get_cfg(overrides={"imgsz": SIDE, "task": "detect"})
