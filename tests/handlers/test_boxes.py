from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.boxes import Candidates, read_dense_head, suppress, to_original
from handlers.errors import BadModelOutput
from handlers.fitting import Geometry


def head(*anchors: list[float]) -> np.ndarray:
    """Return float32 [4 + C, A] of anchors written as [cx, cy, w, h, scores...]."""
    return np.array(anchors, np.float32).T.copy()


def thresholds(*scores: float) -> np.ndarray:
    return np.array(scores, np.float32)


def candidates(*rows: tuple[float, ...]) -> Candidates:
    """Return candidates written as (x1, y1, x2, y2, score, class)."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Candidates(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def kept_scores(found: Candidates) -> list[float]:
    return [round(float(score), 3) for score in found.scores]


def test_centres_and_sizes_become_corners() -> None:
    found = read_dense_head(head([50, 40, 20, 10, 0.9]), thresholds(0.5), 100)

    np.testing.assert_array_equal(found.boxes_xyxy_px, [[40, 35, 60, 45]])
    assert found.boxes_xyxy_px.dtype == np.float32
    assert found.class_ids.tolist() == [0]


def test_candidates_come_best_first_and_only_the_best_are_kept() -> None:
    anchors = head([1, 1, 2, 2, 0.6], [2, 2, 2, 2, 0.9], [3, 3, 2, 2, 0.7], [4, 4, 2, 2, 0.2])

    found = read_dense_head(anchors, thresholds(0.5), 2)

    assert kept_scores(found) == [0.9, 0.7]
    np.testing.assert_array_equal(found.boxes_xyxy_px[:, 0], [1, 2])


def test_each_class_has_its_own_threshold_and_the_limit_itself_passes() -> None:
    anchors = head([1, 1, 2, 2, 0.5, 0.5], [2, 2, 2, 2, 0.25, 0.75])

    found = read_dense_head(anchors, thresholds(0.5, 0.75), 100)

    assert list(zip(found.class_ids.tolist(), kept_scores(found), strict=True)) == [
        (1, 0.75),
        (0, 0.5),
    ]


def test_an_anchor_counts_for_each_class_that_reaches_its_threshold() -> None:
    both = head([1, 1, 2, 2, 0.6, 0.8])

    assert read_dense_head(both, thresholds(0.5, 0.5), 100).class_ids.tolist() == [1, 0]
    # Its best class misses, its second does not: the second is kept.
    assert read_dense_head(both, thresholds(0.5, 0.9), 100).class_ids.tolist() == [0]


def test_nothing_over_the_thresholds_is_no_candidate() -> None:
    found = suppress(read_dense_head(head([1, 1, 2, 2, 0.1]), thresholds(0.5), 100), 0.5, 10)

    assert found.boxes_xyxy_px.shape == (0, 4)
    assert found.scores.shape == found.class_ids.shape == (0,)


@pytest.mark.parametrize(
    ("anchor", "complaint"),
    [
        ([1, 1, 2, 2, float("nan"), 0.9], "scores are not numbers"),
        ([float("nan"), 1, 2, 2, 0.9, 0.1], "boxes are not finite"),
        ([1, 1, float("inf"), 2, 0.9, 0.1], "boxes are not finite"),
    ],
)
def test_a_model_that_answers_no_numbers_is_an_error(anchor: list[float], complaint: str) -> None:
    with pytest.raises(BadModelOutput, match=complaint):
        read_dense_head(head(anchor, [1, 1, 2, 2, 0.1, 0.1]), thresholds(0.5, 0.5), 100)


def test_a_box_that_overlaps_a_better_one_by_more_is_suppressed() -> None:
    # 10 x 10 against itself moved by d: IoU = (10 - d) / (10 + d): 3/5 at 2.5, 1/3 at 5.
    found = candidates((0, 0, 10, 10, 0.9, 0), (2.5, 0, 12.5, 10, 0.8, 0), (5, 0, 15, 10, 0.7, 0))

    assert kept_scores(suppress(found, 0.5, 10)) == [0.9, 0.7]
    assert kept_scores(suppress(found, 0.3, 10)) == [0.9]
    assert kept_scores(suppress(found, 0.7, 10)) == [0.9, 0.8, 0.7]


def test_an_overlap_of_just_the_threshold_is_kept() -> None:
    half = candidates((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 5, 0.8, 0))  # IoU 1/2

    assert kept_scores(suppress(half, 0.5, 10)) == [0.9, 0.8]
    assert kept_scores(suppress(half, 0.499, 10)) == [0.9]


def test_a_suppressed_box_suppresses_nothing() -> None:
    chain = candidates((0, 0, 10, 10, 0.9, 0), (4, 0, 14, 10, 0.8, 0), (8, 0, 18, 10, 0.7, 0))

    assert kept_scores(suppress(chain, 0.4, 10)) == [0.9, 0.7]


def test_classes_do_not_suppress_each_other() -> None:
    same_place = candidates((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.8, 1), (0, 0, 9, 10, 0.7, 1))

    assert kept_scores(suppress(same_place, 0.5, 10)) == [0.9, 0.8]


def test_the_best_are_kept_up_to_the_limit() -> None:
    apart = candidates(*[(20 * n, 0, 20 * n + 10, 10, 0.9 - n / 10, 0) for n in range(5)])

    assert kept_scores(suppress(apart, 0.5, 3)) == [0.9, 0.8, 0.7]


def plain_suppression(found: Candidates, iou_threshold: float, limit: int) -> list[int]:
    """Greedy suppression as the textbook has it, one pair at a time."""
    kept: list[int] = []
    boxes = found.boxes_xyxy_px.astype(np.float64)
    for place, (x1, y1, x2, y2) in enumerate(boxes):
        for other in kept:
            if found.class_ids[other] != found.class_ids[place]:
                continue
            ox1, oy1, ox2, oy2 = boxes[other]
            shared = max(0, min(x2, ox2) - max(x1, ox1)) * max(0, min(y2, oy2) - max(y1, oy1))
            union = (x2 - x1) * (y2 - y1) + (ox2 - ox1) * (oy2 - oy1) - shared
            if shared > iou_threshold * union:
                break
        else:
            kept.append(place)
    return kept[:limit]


def crowd(count: int, seed: int, side: int = 100, classes: int = 3) -> Candidates:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, side, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 40, (count, 2))], 1)
    scores = np.sort(random.uniform(0, 1, count))[::-1]
    ids = random.integers(0, classes, count)
    return Candidates(boxes.astype(np.float32), scores.astype(np.float32), ids)


@given(st.integers(0, 60), st.integers(0, 2**32), st.sampled_from([0.1, 0.45, 0.7]))
def test_suppression_is_the_textbooks(count: int, seed: int, iou_threshold: float) -> None:
    found = crowd(count, seed)

    kept = suppress(found, iou_threshold, 20)

    expected = found.take(np.array(plain_suppression(found, iou_threshold, 20), np.int64))
    np.testing.assert_array_equal(kept.boxes_xyxy_px, expected.boxes_xyxy_px)
    np.testing.assert_array_equal(kept.class_ids, expected.class_ids)


@pytest.mark.parametrize("limit", [10, 300, 1000])
def test_looking_block_by_block_loses_nothing(limit: int) -> None:
    # 1,500 boxes are three blocks; in a small square few survive, so all three are looked at.
    found = crowd(1500, seed=1, side=60)

    kept = suppress(found, 0.3, limit)

    expected = found.take(np.array(plain_suppression(found, 0.3, limit), np.int64))
    np.testing.assert_array_equal(kept.scores, expected.scores)


def test_boxes_return_to_the_original_and_are_clipped_to_it() -> None:
    # 200 x 100 shown at half size, 14 rows of grey above.
    geometry = Geometry(200, 100, scale_x=0.5, scale_y=0.5, left=0, top=14)
    boxes = np.array([[10, 24, 20, 34], [-8, 0, 300, 300]], np.float32)

    original = to_original(boxes, geometry)

    np.testing.assert_array_equal(original, [[20, 20, 40, 40], [0, 0, 200, 100]])
    assert original.dtype == np.float32


@pytest.mark.slow  # importing ultralytics takes seconds
def test_candidates_and_suppression_are_those_of_ultralytics(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("YOLO_OFFLINE", "1")
    import torch
    import torchvision  # noqa: F401 - ultralytics then uses its suppression, not a slow loop
    from ultralytics.utils.nms import non_max_suppression

    random = np.random.default_rng(0)
    for count in (1, 40, 1000):
        centres, sizes = random.uniform(0, 640, (2, count)), random.uniform(10, 200, (2, count))
        raw = np.concatenate([centres, sizes, random.uniform(0, 1, (5, count)) ** 3])
        raw = raw.astype(np.float32)

        ours = suppress(read_dense_head(raw, thresholds(*[0.05] * 5), 30000), 0.6, 300)
        (theirs,) = non_max_suppression(
            torch.from_numpy(raw[np.newaxis]), 0.05, 0.6, multi_label=True, max_det=300
        )

        np.testing.assert_allclose(ours.boxes_xyxy_px, theirs[:, :4], atol=1e-3)
        np.testing.assert_allclose(ours.scores, theirs[:, 4], atol=1e-6)
        np.testing.assert_array_equal(ours.class_ids, theirs[:, 5])
