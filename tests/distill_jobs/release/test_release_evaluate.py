"""The evaluator on cases reckoned by hand."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from distill_jobs.data.dataset import Sample
from distill_jobs.environment import offline
from distill_jobs.release.evaluate import Quality, score
from distill_jobs.release.matches import IOU_THRESHOLDS, match
from distill_jobs.release.overlap import iou_matrix
from handlers.pipeline import Detections

NAMES = ("cat", "dog")
WIDTH, HEIGHT = 100, 50


def found(*rows: tuple[float, ...]) -> Detections:
    """Detections from rows of x1, y1, x2, y2, score, class."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(
        boxes_xyxy_px=table[:, :4],
        scores=table[:, 4],
        class_ids=table[:, 5].astype(np.int64),
        width=WIDTH,
        height=HEIGHT,
        decode_ms=0.0,
        preprocess_ms=0.0,
        inference_ms=0.0,
        postprocess_ms=0.0,
    )


def measure(folder: Path, labels: list[str], answers: list[Detections]) -> Quality:
    samples = []
    for index, rows in enumerate(labels):
        image, text = folder / f"{index}.jpg", folder / f"{index}.txt"
        image.write_bytes(b"")
        text.write_text(rows)
        samples.append(Sample(image, text, len(NAMES)))
    return score(answers, samples, NAMES)


# A label of 20 x 20 pixels at (10, 10) and one at (60, 10).
LEFT, RIGHT = "0 0.2 0.4 0.2 0.4\n", "0 0.7 0.4 0.2 0.4\n"
LEFT_BOX, RIGHT_BOX, NOWHERE = (10, 10, 30, 30), (60, 10, 80, 30), (35, 35, 45, 45)


def test_perfect_detections_score_one(tmp_path: Path) -> None:
    answers = [found((*LEFT_BOX, 0.9, 0), (*RIGHT_BOX, 0.3, 0)), found((*LEFT_BOX, 0.5, 1))]

    quality = measure(tmp_path, [LEFT + RIGHT, "1" + LEFT[1:]], answers)

    # 101 recalls read from a curve that ends at recall 1: ultralytics' integral is 0.995.
    assert quality.map50 == pytest.approx(0.995, abs=1e-6)
    assert quality.map50_95 == pytest.approx(0.995, abs=1e-6)
    assert (quality.images, quality.objects) == (2, 3)
    assert [(one.name, one.objects) for one in quality.per_class] == [("cat", 2), ("dog", 1)]


def test_average_precision_of_a_hand_reckoned_case(tmp_path: Path) -> None:
    # Best first: a hit, a false alarm, a hit. Precision 1 up to recall 1/2, then 2/3 up to 1.
    answers = [found((*LEFT_BOX, 0.9, 0), (*NOWHERE, 0.8, 0), (*RIGHT_BOX, 0.7, 0))]

    quality = measure(tmp_path, [LEFT + RIGHT], answers)

    # The envelope is read at 101 recalls: 50 times 1 (0 to 0.49), 50 times 2/3 (0.50 to 0.99), and
    # ultralytics lets it fall to 0 at 1, then integrates by trapezes.
    heights = np.array([1.0] * 50 + [2 / 3] * 50 + [0.0])
    assert quality.map50 == pytest.approx(((heights[1:] + heights[:-1]) / 200).sum(), abs=1e-6)


def test_one_label_is_found_once(tmp_path: Path) -> None:
    twice = measure(tmp_path, [LEFT + RIGHT], [found((*LEFT_BOX, 0.9, 0), (*LEFT_BOX, 0.8, 0))])

    assert quality_close(twice.map50, 0.5)


def test_a_box_counts_up_to_its_overlap(tmp_path: Path) -> None:
    # 20 x 20 moved by 4 pixels: 320 / 480 = IoU 0.667, enough for 0.5, 0.55, 0.6 and 0.65.
    quality = measure(tmp_path, [LEFT], [found((14, 10, 34, 30, 0.9, 0))])

    assert quality.map50 == pytest.approx(0.995, abs=1e-6)
    assert quality.map50_95 == pytest.approx(0.4 * 0.995, abs=1e-6)


def test_the_wrong_class_finds_nothing(tmp_path: Path) -> None:
    quality = measure(tmp_path, [LEFT], [found((*LEFT_BOX, 0.9, 1))])

    assert quality.map50 == 0.0


def test_the_order_of_the_answer_does_not_matter(tmp_path: Path) -> None:
    rows = [(*NOWHERE, 0.8, 0), (*RIGHT_BOX, 0.7, 0), (*LEFT_BOX, 0.9, 0)]

    first = measure(tmp_path, [LEFT + RIGHT], [found(*rows)])
    second = measure(tmp_path, [LEFT + RIGHT], [found(*reversed(rows))])

    assert first == second


def test_no_label_at_all_is_zero_and_no_error(tmp_path: Path) -> None:
    quality = measure(tmp_path, [""], [found((*LEFT_BOX, 0.9, 0))])

    assert quality == Quality(0.0, 0.0, 1, 0, ())


def test_no_detection_at_all_is_zero(tmp_path: Path) -> None:
    quality = measure(tmp_path, [LEFT], [found()])

    assert (quality.map50, quality.objects) == (0.0, 1)


def quality_close(value: float, expected: float) -> bool:
    return abs(value - expected) < 0.01


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_given_out_as_ultralytics_does(tmp_path: Path, seed: int) -> None:
    """Many boxes that crowd each other, against the validator's own matching."""
    offline()
    from ultralytics.engine.validator import BaseValidator

    generator = np.random.default_rng(seed)
    corners = generator.integers(0, 20, (12, 2)) / 100
    true_ids = generator.integers(0, 2, 12)
    rows = "".join(
        f"{class_id} {x + 0.15} {y + 0.2} 0.2 0.3\n"
        for class_id, (x, y) in zip(true_ids, corners, strict=True)
    )
    (tmp_path / "0.txt").write_text(rows)
    sample = Sample(tmp_path / "0.jpg", tmp_path / "0.txt", 2)
    boxes = np.tile(corners, 2).repeat(5, axis=0) * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    boxes += np.array([5, 2.5, 25, 17.5]) + generator.normal(0, 2, boxes.shape)
    scores, class_ids = generator.random(60), generator.integers(0, 2, 60)
    answer = found(*np.column_stack([boxes, scores, class_ids]).tolist())

    matches = match(answer, sample)

    order = np.argsort(-answer.scores, kind="stable")
    _, true_boxes = sample.read_labels(WIDTH, HEIGHT)
    expected = BaseValidator.match_predictions(
        SimpleNamespace(iouv=torch.from_numpy(IOU_THRESHOLDS)),
        torch.from_numpy(answer.class_ids[order]),
        torch.from_numpy(matches.true_ids),
        torch.from_numpy(iou_matrix(true_boxes, answer.boxes_xyxy_px[order])),
    )
    assert matches.hits.sum() > 10
    assert (matches.hits == expected.numpy()).all()
