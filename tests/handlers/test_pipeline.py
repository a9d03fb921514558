import gc
import json
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_detectors import card_document, encode, picture

from handlers.card import Card
from handlers.errors import BadModelOutput
from handlers.pipeline import BadFrame, Detections, Frame, Pipeline
from handlers.runtimes import Runtime, load_runtime

VARIANTS = ["onnxruntime-fp32", "torchscript-fp32"]


@pytest.fixture(params=VARIANTS)
def pipeline(parts: Path, request: pytest.FixtureRequest) -> Pipeline:
    return Pipeline.load(parts, request.param, threads=1)


@pytest.fixture
def card() -> Card:
    return Card.parse(json.dumps(card_document()))


class Scripted:
    """A runtime that answers what it is told, and remembers the batches' sizes."""

    def __init__(self, answer: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> None:
        self.batch_sizes: list[int] = []
        self._answer = answer

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.batch_sizes.append(len(batch))
        return self._answer(batch)


def only(answers: list[Detections | BadFrame]) -> Detections:
    (answer,) = answers
    assert isinstance(answer, Detections)
    return answer


def test_a_patch_is_found_where_it_lies_in_the_original(pipeline: Pipeline) -> None:
    # 128 x 64 is shown at half size with 16 grey rows above: the red cell at input (8, 24) to
    # (16, 32) is (16, 16) to (32, 32) here.
    found = only(pipeline.detect([Frame(picture(128, 64, red=(16, 16, 32, 32)))]))

    np.testing.assert_allclose(found.boxes_xyxy_px, [[16, 16, 32, 32]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [1.0], atol=1e-6)
    assert found.class_ids.tolist() == [0]
    assert (found.width, found.height) == (128, 64)


def test_dtypes_and_timings_are_as_promised(pipeline: Pipeline) -> None:
    found = only(pipeline.detect([Frame(picture(red=(0, 0, 8, 8)))]))

    assert found.boxes_xyxy_px.dtype == found.scores.dtype == np.float32
    assert found.class_ids.dtype == np.int64
    parts_ms = (found.decode_ms, found.preprocess_ms, found.inference_ms, found.postprocess_ms)
    assert all(0 < ms < 60_000 for ms in parts_ms)


def test_detections_come_best_first_whatever_their_class(pipeline: Pipeline) -> None:
    # A patch over 3/4 of a cell scores 0.75: over green's threshold (0.6) and blue's (0.7).
    image = picture(green=(0, 0, 6, 8), red=(16, 0, 24, 8), blue=(32, 0, 38, 8))

    found = only(pipeline.detect([Frame(image)]))

    assert found.class_ids.tolist()[0] == 0
    assert sorted(found.class_ids.tolist()[1:]) == [1, 2]
    np.testing.assert_allclose(found.scores, [1.0, 0.75, 0.75], atol=1e-6)


def test_the_cards_thresholds_hold_until_a_request_names_its_own(pipeline: Pipeline) -> None:
    # 5/8 of a cell scores 0.625: over red's 0.5 and green's 0.6, under blue's 0.7.
    image = picture(red=(0, 0, 5, 8), green=(16, 0, 21, 8), blue=(32, 0, 37, 8))

    by_card = only(pipeline.detect([Frame(image)]))
    all_three = only(pipeline.detect([Frame(image, min_score=0.625)]))
    none = only(pipeline.detect([Frame(image, min_score=0.63)]))

    assert sorted(by_card.class_ids.tolist()) == [0, 1]
    assert sorted(all_three.class_ids.tolist()) == [0, 1, 2]
    assert none.scores.shape == (0,)
    assert none.boxes_xyxy_px.shape == (0, 4)


def test_max_detections_keeps_the_best(pipeline: Pipeline) -> None:
    image = picture(red=(0, 0, 64, 32))

    assert len(only(pipeline.detect([Frame(image)])).scores) == 32
    assert len(only(pipeline.detect([Frame(image, max_detections=5)])).scores) == 5


def test_a_card_limits_its_detections(parts: Path) -> None:
    rules = card_document()["post_processing"] | {"max_detections": 7}
    card = Card.parse(json.dumps(card_document(post_processing=rules)))
    pipeline = Pipeline(card, load_runtime(card, parts))
    image = picture(red=(0, 0, 64, 32))

    assert len(only(pipeline.detect([Frame(image)])).scores) == 7
    assert len(only(pipeline.detect([Frame(image, max_detections=20)])).scores) == 20


def test_bad_frames_leave_their_mates_alone(pipeline: Pipeline) -> None:
    red, green = picture(red=(0, 0, 8, 8)), picture(green=(8, 8, 16, 16))
    batch = [
        Frame(b""),
        Frame(red),
        Frame(red[:-30]),
        Frame(green, min_score=0.0001),
        Frame(green),
        Frame(red, max_detections=1001),
        Frame(b"no image"),
        Frame(red, min_score=float("nan")),
    ]

    answers = pipeline.detect(batch)

    bad = {n: (a.code, a.field) for n, a in enumerate(answers) if isinstance(a, BadFrame)}
    assert bad == {
        0: ("empty_body", "image"),
        2: ("truncated_image", "image"),
        3: ("invalid_field", "min_score"),
        5: ("invalid_field", "max_detections"),
        6: ("not_an_image", "image"),
        7: ("invalid_field", "min_score"),
    }
    for place, frame in ((1, red), (4, green)):
        alone, together = only(pipeline.detect([Frame(frame)])), answers[place]
        assert isinstance(together, Detections)
        np.testing.assert_array_equal(together.boxes_xyxy_px, alone.boxes_xyxy_px)
        np.testing.assert_array_equal(together.class_ids, alone.class_ids)


def test_a_bad_frame_that_is_kept_keeps_nothing_of_its_batch(pipeline: Pipeline) -> None:
    frames = [Frame(picture()), Frame(b"no image"), Frame(picture(), min_score=7)]
    known = [weakref.ref(frame) for frame in frames]

    answers = pipeline.detect(frames)
    gc.disable()  # it would find them, later
    try:
        del frames
        left = [frame() for frame in known]
    finally:
        gc.enable()

    assert [type(answer) for answer in answers] == [Detections, BadFrame, BadFrame]
    assert left == [None, None, None]


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (Frame(b"", min_score=0.0005), "min_score: must be a number from 0.001 to 1, got 0.0005"),
        (Frame(b"", min_score=1.5), "min_score: must be a number from 0.001 to 1, got 1.5"),
        (Frame(b"", max_detections=0), "max_detections: must be a whole number from 1 to 1000"),
    ],
)
def test_options_out_of_their_limits_are_named(
    pipeline: Pipeline, frame: Frame, complaint: str
) -> None:
    (answer,) = pipeline.detect([frame])

    assert isinstance(answer, BadFrame)
    assert answer.message.startswith(complaint)


def test_the_limits_themselves_are_good(pipeline: Pipeline) -> None:
    image = picture(red=(0, 0, 8, 8))

    for frame in (Frame(image, 0.001, 1), Frame(image, 1.0, 1000)):
        assert only(pipeline.detect([frame])).class_ids.tolist()[:1] == [0]


def test_frames_of_every_size_share_a_batch_and_keep_their_order(pipeline: Pipeline) -> None:
    sizes = [(64, 64), (200, 64), (64, 200), (640, 480), (9, 9)]
    frames = [Frame(picture(w, h, green=(0, 0, w, h))) for w, h in sizes]

    answers = pipeline.detect(frames)

    assert [(a.width, a.height) for a in answers if isinstance(a, Detections)] == sizes


def test_an_answer_does_not_depend_on_the_batches_before_it(pipeline: Pipeline) -> None:
    plain, tall = Frame(picture(red=(8, 8, 16, 16))), Frame(picture(30, 90, blue=(0, 0, 30, 90)))
    before = only(pipeline.detect([plain]))

    pipeline.detect([tall] * 5)
    after = only(pipeline.detect([plain]))

    np.testing.assert_array_equal(before.boxes_xyxy_px, after.boxes_xyxy_px)
    np.testing.assert_array_equal(before.scores, after.scores)


def test_a_grey_border_is_searched_too_but_its_boxes_are_clipped(pipeline: Pipeline) -> None:
    # The grey border scores 114/255 = 0.447 in every class, outside of the image.
    found = only(pipeline.detect([Frame(picture(64, 32), min_score=0.4)]))

    assert len(found.scores) == 4 * 8 * 3
    assert found.boxes_xyxy_px[:, [0, 2]].max() <= 64
    assert found.boxes_xyxy_px[:, [1, 3]].min() >= 0
    assert found.boxes_xyxy_px[:, [1, 3]].max() <= 32


def test_the_model_runs_once_for_the_good_frames_of_a_batch(parts: Path, card: Card) -> None:
    runtime = Scripted(load_runtime(card, parts).run)
    pipeline = Pipeline(card, runtime)
    good = Frame(picture(red=(0, 0, 8, 8)))

    pipeline.detect([good, Frame(b""), good, good])
    pipeline.detect([Frame(b""), Frame(b"no image")])

    assert runtime.batch_sizes == [3]
    assert pipeline.detect([]) == []


@pytest.mark.parametrize("shape", [(1, 6, 64), (2, 7, 64), (1, 448), (1, 64, 7)])
def test_a_head_that_does_not_fit_the_card_fails_the_batch(
    card: Card, shape: tuple[int, ...]
) -> None:
    runtime: Runtime = Scripted(lambda _: np.zeros(shape, np.float32))
    pipeline = Pipeline(card, runtime)

    with pytest.raises(BadModelOutput, match=r"its card asks for \[1, 7, anchors\]"):
        pipeline.detect([Frame(picture())])
    with pytest.raises(BadModelOutput):
        pipeline.warm_up()


def test_an_unknown_error_of_the_runtime_is_not_swallowed(card: Card) -> None:
    def explode(_: NDArray[np.float32]) -> NDArray[np.float32]:
        raise RuntimeError("out of luck")

    pipeline = Pipeline(card, Scripted(explode))

    with pytest.raises(RuntimeError, match="out of luck"):
        pipeline.detect([Frame(picture())])


class Meeting(Frame):
    """A frame that is read only while two others are."""

    barrier = threading.Barrier(3)

    def check(self) -> None:
        self.barrier.wait(timeout=30)


def test_frames_of_a_batch_are_read_side_by_side(parts: Path, card: Card) -> None:
    pipeline = Pipeline(card, load_runtime(card, parts), threads=3)
    image = picture(red=(0, 0, 8, 8))

    answers = pipeline.detect([Meeting(image) for _ in range(3)])

    assert [only([answer]).class_ids.tolist() for answer in answers] == [[0]] * 3


def test_an_unknown_error_while_reading_is_not_swallowed(parts: Path, card: Card) -> None:
    class Broken(Frame):
        def check(self) -> None:
            raise RuntimeError("out of luck")

    image = picture(red=(0, 0, 8, 8))

    for threads in (1, 2):
        pipeline = Pipeline(card, load_runtime(card, parts), threads)
        with pytest.raises(RuntimeError, match="out of luck"):
            pipeline.detect([Frame(image), Broken(image), Frame(image)])
        assert len(pipeline.detect([Frame(image)] * 3)) == 3


def test_a_photo_keeps_its_colours_on_the_way_in(card: Card) -> None:
    seen: list[NDArray[np.float32]] = []

    def look(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(batch.copy())
        return np.zeros((len(batch), 7, 1), np.float32)

    image = np.zeros((64, 64, 3), np.uint8)
    image[...] = (200, 100, 50)
    Pipeline(card, Scripted(look)).detect([Frame(encode(image, ".jpg"))])

    levels = seen[0][0].mean(axis=(1, 2)) * 255
    np.testing.assert_allclose(levels, [200, 100, 50], atol=2)
