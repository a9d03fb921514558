import hashlib

import cv2
import numpy as np

from distill_jobs.data.dataset import Dataset
from distill_jobs.data.scenes import CLASS_NAMES, draw_split, write_split
from distill_jobs.data.staging import write_description


def test_the_same_seed_draws_the_same_scenes():
    first, again = list(draw_split("train", 4, 96, 5)), list(draw_split("train", 4, 96, 5))

    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.boxes_xyxy_px, b.boxes_xyxy_px)


def test_seeds_and_splits_draw_different_scenes():
    digests = {
        hashlib.sha256(scene.image.tobytes()).digest()
        for split, seed in (("train", 1), ("val", 1), ("test", 1), ("train", 2))
        for scene in draw_split(split, 5, 96, seed)
    }

    assert len(digests) == 20


def test_labels_lie_in_the_picture_and_every_class_occurs():
    scenes = list(draw_split("train", 80, 160, 0))
    boxes = np.concatenate([scene.boxes_xyxy_px for scene in scenes])
    class_ids = np.concatenate([scene.class_ids for scene in scenes])

    assert boxes.min() >= 0
    assert boxes.max() <= 160
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides.min() >= 5
    assert sides.max() > 4 * sides.min()
    share = np.bincount(class_ids, minlength=len(CLASS_NAMES)) / len(class_ids)
    assert share.min() > 0.15
    assert any(len(scene.class_ids) >= 5 for scene in scenes)


def test_a_box_holds_what_differs_from_the_empty_place():
    """The label and the picture agree: the pixels inside boxes vary more than those outside."""
    inside, outside = [], []
    for scene in draw_split("val", 20, 160, 0):
        edges = np.abs(cv2.Laplacian(scene.image.astype(np.float32).mean(axis=2), cv2.CV_32F))
        mask = np.zeros(edges.shape, bool)
        for x1, y1, x2, y2 in scene.boxes_xyxy_px.astype(int):
            mask[y1:y2, x1:x2] = True
        street = np.zeros_like(mask)
        street[70:] = True
        inside.append(edges[mask & street].mean() if (mask & street).any() else np.nan)
        outside.append(edges[~mask & street].mean())

    assert np.nanmean(inside) > 1.5 * np.mean(outside)


def test_written_splits_load_as_a_data_set_with_the_drawn_boxes(tmp_path):
    for split in ("train", "val"):
        assert len(list(write_split(tmp_path, split, 6, 96, 1))) == 6
    dataset = write_description(tmp_path, CLASS_NAMES, ("train", "val"))

    drawn = list(draw_split("val", 6, 96, 1))
    for sample, scene in zip(Dataset.load(dataset.path).split("val"), drawn, strict=True):
        class_ids, boxes = sample.read_labels(96, 96)
        np.testing.assert_array_equal(class_ids, scene.class_ids)
        np.testing.assert_allclose(boxes, scene.boxes_xyxy_px, atol=1e-3)
