import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_detectors import card_document

from handlers.boxes import to_original
from handlers.card import Card, Input
from handlers.fitting import Geometry, letterbox

SPEC = Card.parse(json.dumps(card_document())).input  # 64 x 64, grey 114, enlarges


def spec(width: int, height: int, *, scale_up: bool = True) -> Input:
    return dataclasses.replace(SPEC, width=width, height=height, letterbox_scale_up=scale_up)


def grey(width: int, height: int, level: int = 51) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def test_a_wide_image_gets_grey_above_and_below() -> None:
    box, geometry = letterbox(grey(64, 32), SPEC)

    assert geometry == Geometry(64, 32, scale_x=1.0, scale_y=1.0, left=0, top=16)
    assert box.shape == (3, 64, 64)
    assert box.dtype == np.float32
    np.testing.assert_allclose(box[:, :16], 114 / 255)
    np.testing.assert_allclose(box[:, 16:48], 51 / 255)
    np.testing.assert_allclose(box[:, 48:], 114 / 255)


def test_a_tall_image_gets_grey_left_and_right() -> None:
    box, geometry = letterbox(grey(16, 32), SPEC)

    assert geometry == Geometry(16, 32, scale_x=2.0, scale_y=2.0, left=16, top=0)
    np.testing.assert_allclose(box[:, :, :16], 114 / 255)
    np.testing.assert_allclose(box[:, :, 16:48], 51 / 255)
    np.testing.assert_allclose(box[:, :, 48:], 114 / 255)


def test_the_spare_pixel_of_an_odd_border_goes_right_and_down() -> None:
    box, geometry = letterbox(grey(64, 33), SPEC)

    assert geometry.top == 15
    np.testing.assert_allclose(box[:, 15:48], 51 / 255)
    np.testing.assert_allclose(box[:, 48:], 114 / 255)


def test_a_small_image_stays_small_where_the_card_says_so() -> None:
    box, geometry = letterbox(grey(16, 8), spec(64, 64, scale_up=False))

    assert geometry == Geometry(16, 8, scale_x=1.0, scale_y=1.0, left=24, top=28)
    np.testing.assert_allclose(box[:, 28:36, 24:40], 51 / 255)


def test_each_side_has_its_own_scale() -> None:
    _, geometry = letterbox(grey(100, 33), SPEC)

    assert geometry.scale_x == 64 / 100
    assert geometry.scale_y == 21 / 33  # 21.12 rows are rounded


def test_a_sliver_keeps_a_pixel() -> None:
    box, geometry = letterbox(grey(6000, 1), SPEC)

    assert (geometry.scale_y, geometry.top) == (1.0, 31)
    np.testing.assert_allclose(box[:, 31], 51 / 255)


def test_channels_become_planes_in_their_order() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[5, 7] = (255, 102, 51)

    box, _ = letterbox(image, SPEC)

    np.testing.assert_allclose(box[:, 5, 7], [1.0, 0.4, 0.2], rtol=1e-6)


def test_a_slot_is_overwritten_whole() -> None:
    slot = np.full((3, 64, 64), np.nan, np.float32)

    box, _ = letterbox(grey(30, 64), SPEC, slot)

    assert box is slot
    assert np.isfinite(slot).all()
    np.testing.assert_array_equal(slot, letterbox(grey(30, 64), SPEC)[0])


sides = st.integers(1, 400)


sizes = st.tuples(sides, sides)


@given(sizes, sizes, st.booleans(), st.data())
def test_boxes_come_back_to_where_they_were(
    size: tuple[int, int], input_size: tuple[int, int], scale_up: bool, data: st.DataObject
) -> None:
    (width, height), (to_width, to_height) = size, input_size
    _, geometry = letterbox(grey(width, height), spec(to_width, to_height, scale_up=scale_up))
    x1, x2 = sorted(data.draw(st.tuples(st.floats(0, width), st.floats(0, width))))
    y1, y2 = sorted(data.draw(st.tuples(st.floats(0, height), st.floats(0, height))))
    scale = np.array([geometry.scale_x, geometry.scale_y] * 2)
    offset = np.array([geometry.left, geometry.top] * 2)
    inside = (np.array([[x1, y1, x2, y2]]) * scale + offset).astype(np.float32)

    back = to_original(inside, geometry)

    assert (inside >= 0).all()
    assert (inside <= np.array([to_width, to_height] * 2) + 1e-3).all()
    np.testing.assert_allclose(back, [[x1, y1, x2, y2]], atol=1e-3 * max(width, height))


@pytest.mark.slow  # importing ultralytics takes seconds
def test_every_pixel_is_where_ultralytics_puts_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("YOLO_OFFLINE", "1")
    from ultralytics.data.augment import LetterBox

    random = np.random.default_rng(0)
    for _ in range(60):
        width, height = random.integers(1, 300, 2)
        scale_up = bool(random.integers(2))
        image = random.integers(0, 256, (height, width, 3), np.uint8)

        ours, _ = letterbox(image, spec(128, 96, scale_up=scale_up))
        theirs = LetterBox(new_shape=(96, 128), scaleup=scale_up)(image=image)

        np.testing.assert_allclose(
            ours, theirs.transpose(2, 0, 1).astype(np.float32) / 255, atol=1e-6
        )
