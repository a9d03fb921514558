"""Cards with a stride: each frame in a rectangle of whole strides, half of one to spare."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_detectors import CELL, card_document, picture

from handlers.boxes import to_original
from handlers.card import Card, CardError
from handlers.fitting import Fit, letterbox
from handlers.pipeline import BadFrame, Detections, Frame, Pipeline

STRIDE = 16


def card_with(stride: int) -> Card:
    return Card.parse(
        json.dumps(card_document(input=card_document()["input"] | {"stride": stride}))
    )


CARD = card_with(STRIDE)  # 64 x 64 at most


class AnyCells:
    """The detector of `tiny_detectors` for rectangles; remembers the shapes it was given."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.shapes.append(batch.shape)
        count, _, height, width = batch.shape
        cells = batch.reshape(count, 3, height // CELL, CELL, width // CELL, CELL)
        rows, columns = np.mgrid[0:height:CELL, 0:width:CELL].reshape(2, -1)
        sizes = np.full_like(rows, CELL)
        boxes = np.stack([columns + CELL / 2, rows + CELL / 2, sizes, sizes]).astype(np.float32)
        scores = cells.mean((3, 5)).reshape(count, 3, -1)
        return np.concatenate([np.broadcast_to(boxes, (count, *boxes.shape)), scores], axis=1)


@pytest.fixture
def runtime() -> AnyCells:
    return AnyCells()


@pytest.fixture(params=[1, 3], ids="{}-threads".format)
def pipeline(runtime: AnyCells, request: pytest.FixtureRequest) -> Pipeline:
    return Pipeline(CARD, runtime, threads=request.param)


def first_box(answer: Detections | BadFrame) -> list[float]:
    assert isinstance(answer, Detections)
    return [float(value) for value in answer.boxes_xyxy_px[0]]


@pytest.mark.parametrize(
    ("size", "shape", "border"),
    [
        ((64, 64), (64, 64), (0, 0)),
        ((640, 360), (48, 64), (0, 6)),
        ((128, 64), (48, 64), (0, 8)),
        ((64, 128), (64, 48), (8, 0)),
        ((640, 400), (48, 64), (0, 4)),  # 40 rows: just the half stride to spare
        ((640, 410), (64, 64), (0, 11)),  # 41
        ((640, 480), (64, 64), (0, 8)),
        ((6000, 1), (16, 64), (0, 7)),
        ((100, 33), (32, 64), (0, 5)),  # 21 rows: five grey ones above, six below
    ],
)
def test_the_smallest_rectangle_is_taken(
    size: tuple[int, int], shape: tuple[int, int], border: tuple[int, int]
) -> None:
    fit = Fit.of(*size, CARD.input)

    assert fit.shape == shape
    assert (fit.geometry.left, fit.geometry.top) == border


def test_a_card_without_a_stride_keeps_its_square() -> None:
    card = Card.parse(json.dumps(card_document()))

    assert card.input.stride == card_with(0).input.stride == 0
    assert Fit.of(128, 32, card.input).shape == (64, 64)


@pytest.mark.parametrize("stride", [-16, 48, 128, 1.5, "16", True])
def test_a_stride_that_does_not_divide_the_input_is_refused(stride: object) -> None:
    document = card_document(input=card_document()["input"] | {"stride": stride})

    with pytest.raises(CardError, match=r"input.stride: must be 0, or a whole number that divides"):
        Card.parse(json.dumps(document))


sides = st.integers(1, 500)


@given(sides, sides, st.booleans(), st.sampled_from([8, 16, 32, 64]))
def test_the_rectangle_holds_the_image_and_half_a_stride_where_there_is_room(
    width: int, height: int, scale_up: bool, stride: int
) -> None:
    document = card_document()["input"] | {"stride": stride, "letterbox_scale_up": scale_up}
    spec = Card.parse(json.dumps(card_document(input=document))).input

    fit = Fit.of(width, height, spec)
    box, geometry = letterbox(np.full((height, width, 3), 51, np.uint8), spec)

    assert fit.height % stride == fit.width % stride == 0
    for side, inner in ((fit.height, fit.inner_height), (fit.width, fit.inner_width)):
        spare = side - inner
        assert stride / 2 <= spare < 1.5 * stride or (side == 64 and 0 <= spare < stride / 2)
    assert box.shape == (3, *fit.shape)
    shown = box[:, geometry.top :, geometry.left :][:, : fit.inner_height, : fit.inner_width]
    np.testing.assert_allclose(shown, 51 / 255, rtol=1e-6)
    assert (np.isclose(box, 51 / 255)).sum() == shown.size
    whole = np.array([[0, 0, fit.inner_width, fit.inner_height]], np.float32)
    whole += np.array([geometry.left, geometry.top] * 2)
    np.testing.assert_allclose(to_original(whole, geometry), [[0, 0, width, height]], atol=1e-3)


def test_a_patch_is_found_where_it_lies_in_the_original(pipeline: Pipeline) -> None:
    (found,) = pipeline.detect([Frame(picture(128, 64, red=(16, 16, 32, 32)))])

    assert first_box(found) == pytest.approx([16, 16, 32, 32], abs=1e-4)


def test_frames_that_are_fitted_alike_share_a_run_and_all_keep_their_order(
    pipeline: Pipeline, runtime: AnyCells
) -> None:
    wide = Frame(picture(128, 64, red=(16, 16, 32, 32)))
    high = Frame(picture(64, 128, red=(32, 64, 48, 80)))
    square = Frame(picture(64, 64, red=(8, 8, 16, 16)))
    batch = [wide, high, Frame(b"no image"), wide, square, Frame(picture()[:-30]), high]

    answers = pipeline.detect(batch)

    assert runtime.shapes == [(2, 3, 48, 64), (2, 3, 64, 48), (1, 3, 64, 64)]
    assert [isinstance(answer, BadFrame) for answer in answers] == [0, 0, 1, 0, 0, 1, 0]
    for place, box in ((0, 16), (3, 16), (1, 32), (6, 32), (4, 8)):
        assert first_box(answers[place])[0] == pytest.approx(box, abs=1e-4)
        (alone,) = pipeline.detect([batch[place]])
        together = answers[place]
        assert isinstance(alone, Detections)
        assert isinstance(together, Detections)
        np.testing.assert_array_equal(together.boxes_xyxy_px, alone.boxes_xyxy_px)
        np.testing.assert_array_equal(together.scores, alone.scores)


def test_a_rectangle_is_not_what_lay_in_the_buffer_before(pipeline: Pipeline) -> None:
    wide = Frame(picture(100, 33, red=(0, 0, 100, 33)), min_score=0.001)
    (before,) = pipeline.detect([wide])

    pipeline.detect([Frame(picture(64, 64, blue=(0, 0, 64, 64)))] * 3)
    (after,) = pipeline.detect([wide])

    assert isinstance(before, Detections)
    assert isinstance(after, Detections)
    np.testing.assert_array_equal(before.scores, after.scores)


def test_the_usual_shapes_are_run_before_the_first_camera(
    pipeline: Pipeline, runtime: AnyCells
) -> None:
    pipeline.warm_up(batch_size=4)

    assert runtime.shapes == [(1, 3, 64, 64), (1, 3, 48, 64)]  # 4:3 is square here
