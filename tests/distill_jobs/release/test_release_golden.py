"""Which frames become golden, and what they tolerate."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from test_release_evaluate import found
from tiny_networks import CLASSES, SIDE

from distill_jobs.recipe.release import Licences
from distill_jobs.release import golden
from distill_jobs.release.card import as_handlers_read, draft
from distill_jobs.release.request import ReleaseRequest
from handlers.images import decode
from handlers.pipeline import Detections, Pipeline

ANCHORS = 4


class Brightness:
    """A detector of one box, whose score of class 0 is the image's mean level, plus an offset."""

    def __init__(self, offset: float = 0.0, shift_px: float = 0.0) -> None:
        self.offset, self.shift_px = offset, shift_px

    def run(self, batch: np.ndarray) -> np.ndarray:
        answer = np.zeros((len(batch), 4 + len(CLASSES), ANCHORS), np.float32)
        answer[:, :4, 0] = 32 + self.shift_px, 32, 20, 20
        answer[:, 4, 0] = batch.mean(axis=(1, 2, 3)) + self.offset
        return answer


def pipeline(offset: float = 0.0, shift_px: float = 0.0) -> Pipeline:
    nowhere = Path("nowhere")
    request = ReleaseRequest(
        checkpoint=nowhere,
        name="bright",
        version="1",
        role="student",
        image_size=SIDE,
        model_store=nowhere,
        signing_key=nowhere,
        work_dir=nowhere,
        licences=Licences(data="CC0-1.0"),
        images=(nowhere,),
    )
    return Pipeline(as_handlers_read(draft(request, CLASSES)), Brightness(offset, shift_px))


def grey(folder: Path, level: float, side: int = SIDE) -> tuple[Path, Detections]:
    path = folder / f"{level}.png"
    assert cv2.imwrite(str(path), np.full((side, side, 3), round(255 * level), np.uint8))
    return path, found((22, 22, 42, 42, level, 0))


def test_clear_frames_come_first_and_doubtful_ones_never(tmp_path: Path) -> None:
    frames = [grey(tmp_path, level) for level in (0.1, 0.26, 0.9, 0.3, 0.6, 0.5)]

    chosen = golden.choose(*zip(*frames, strict=True), pipeline())

    scores = [float(frame.detections.scores[0]) for frame in chosen]
    assert scores == pytest.approx([0.9, 0.6, 0.5], abs=0.01)
    assert [frame.file for frame in chosen] == ["golden/1.jpg", "golden/2.jpg", "golden/3.jpg"]


def test_golden_frames_are_small(tmp_path: Path) -> None:
    (chosen,) = golden.choose(*zip(grey(tmp_path, 0.5, side=1600), strict=True), pipeline())

    assert decode(chosen.image).shape == (640, 640, 3)
    assert (chosen.detections.width, chosen.detections.height) == (640, 640)


def test_choosing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    frames = list(zip(*(grey(tmp_path, level) for level in (0.5, 0.7)), strict=True))

    assert [one.image for one in golden.choose(*frames, pipeline())] == [
        one.image for one in golden.choose(*frames, pipeline())
    ]


def test_a_variant_that_repeats_the_reference_gets_the_floor(tmp_path: Path) -> None:
    chosen = golden.choose(*zip(grey(tmp_path, 0.5), strict=True), pipeline())

    tolerance = golden.tolerance(chosen, pipeline(), "fp32")

    assert tolerance.min_iou == pytest.approx(0.9)
    assert tolerance.max_score_difference == pytest.approx(0.03)
    assert tolerance.min_f1 == pytest.approx(0.9)


def test_a_variant_that_strays_gets_room_beyond_what_was_measured(tmp_path: Path) -> None:
    chosen = golden.choose(*zip(grey(tmp_path, 0.5), strict=True), pipeline())

    # 20 px moved by 2.5: IoU 350 / 450; the score moves by 0.08.
    tolerance = golden.tolerance(chosen, pipeline(0.08, 2.5), "int8")

    assert tolerance.min_iou == pytest.approx(350 / 450 - 0.1, abs=0.01)
    assert tolerance.max_score_difference == pytest.approx(0.12, abs=0.005)
