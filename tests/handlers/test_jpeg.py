"""JPEGs decoded without OpenCV: its pixels or fewer, and its own answer to what is unusual."""

import contextlib
import io
import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from encoded_images import in_every_format, scene
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tiny_detectors import card_document, encode

from handlers.card import Card, Input
from handlers.errors import BadFrame
from handlers.fitting import Fit
from handlers.headers import JpegHeader, inspect
from handlers.images import decode, decode_to_fit
from handlers.jpeg import decode_jpeg

JPEGS = {name: data for name, data in in_every_format().items() if name.startswith("jpeg")}
INPUT = Card.parse(json.dumps(card_document())).input  # 64 x 64


def by_opencv(data: bytes | bytearray) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise BadFrame("not_an_image", "image: OpenCV cannot decode it")
    return np.asarray(image, np.uint8)


def header_of(data: bytes) -> JpegHeader:
    header = inspect(data)
    assert isinstance(header, JpegHeader)
    return header


def jpeg(image: NDArray[np.uint8], **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """Return the JPEG with APP1 segments at its beginning."""
    parts = [b"\xff\xe1" + struct.pack(">H", 2 + len(one)) + one for one in segments]
    return data[:2] + b"".join(parts) + data[2:]


def exif(orientation: int, order: str = "<", entries: int = 1) -> bytes:
    start = b"II" if order == "<" else b"MM"
    other = struct.pack(order + "HHII", 0x0110, 2, 4, 0)  # the camera's model
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    directory = struct.pack(order + "H", entries) + other * (entries - 1) + entry
    return b"Exif\0\0" + start + struct.pack(order + "HI", 42, 8) + directory


@pytest.mark.parametrize("name", JPEGS)
def test_every_kind_has_the_pixels_that_opencv_gives(name: str) -> None:
    np.testing.assert_array_equal(decode(JPEGS[name]), by_opencv(JPEGS[name]))


@pytest.mark.parametrize("photo", ["bus.jpg", "zidane.jpg"])
def test_photos_have_the_pixels_that_opencv_gives(photos: Path, photo: str) -> None:
    data = (photos / photo).read_bytes()

    np.testing.assert_array_equal(decode(data), by_opencv(data))


@pytest.mark.parametrize("subsampling", [0, 1, 2])  # 4:4:4, 4:2:2, 4:2:0
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (17, 31), (64, 48)])
def test_odd_sizes_have_the_pixels_that_opencv_gives(
    size: tuple[int, int], subsampling: int
) -> None:
    data = jpeg(scene(*size), subsampling=subsampling)

    assert decode_jpeg(data, header_of(data)) is not None
    np.testing.assert_array_equal(decode(data), by_opencv(data))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_turned_as_opencv_turns_it(orientation: int, order: str) -> None:
    data = with_segments(jpeg(scene()), exif(orientation, order, entries=3))

    ours = decode_jpeg(data, header_of(data))

    assert ours is not None
    np.testing.assert_array_equal(ours, by_opencv(data))


@pytest.mark.parametrize(
    "segments",
    [
        (b"http://ns.adobe.com/xap/1.0/\0<x/>", exif(6)),
        (exif(6), exif(3)),
        (exif(0), exif(3)),
        (exif(6).replace(struct.pack("<H", 0x0112), struct.pack("<H", 0x0113)), exif(3)),
        (exif(6)[:-3],),
        (exif(6)[:-6],),
        (exif(6)[:8],),
        (b"Exif\0\0",),
        (b"",),
        (exif(6).replace(b"\x2a\0", b"\x2b\0"),),
        (exif(6).replace(b"Exif", b"Exix"),),
        (b"Exif\0\0II\x2a\0" + struct.pack("<I", 0xFFFFFFFF),),
        (b"Exif\0\0II\x2a\0" + struct.pack("<IH", 8, 0xFFFF),),
    ],
)
def test_odd_exif_is_read_as_opencv_reads_it(segments: tuple[bytes, ...]) -> None:
    data = with_segments(jpeg(scene()), *segments)

    ours = decode_jpeg(data, header_of(data))

    assert ours is not None
    np.testing.assert_array_equal(ours, by_opencv(data))


def test_an_orientation_behind_the_frame_header_counts() -> None:
    data = jpeg(scene())
    at = data.index(b"\xff\xda")
    data = data[:2] + data[2:at] + with_segments(b"\xff\xd8", exif(6))[2:] + data[at:]

    np.testing.assert_array_equal(decode(data), by_opencv(data))
    assert decode(data).shape == (40, 24, 3)


@pytest.mark.parametrize("name", JPEGS)
@given(data=st.data())
def test_damage_is_answered_as_by_opencv(name: str, data: st.DataObject) -> None:
    damaged = bytearray(JPEGS[name])
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadFrame):
        size = inspect(damaged)
        if size.width * size.height > 1_000_000:
            return
        try:
            expected = by_opencv(damaged)
        except BadFrame:
            with pytest.raises(BadFrame, match="damaged"):
                decode(damaged)
            return
        np.testing.assert_array_equal(decode(damaged), expected)


@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        ((126, 126), (126, 126)),  # less than twice the input: whole
        ((128, 128), (64, 64)),
        ((200, 100), (100, 50)),
        ((100, 254), (50, 127)),
        ((256, 256), (64, 64)),
        ((258, 250), (129, 125)),  # a quarter would be 64.5 pixels wide
        ((257, 250), (257, 250)),
        ((2048, 1000), (256, 125)),  # an eighth is the least there is
    ],
)
def test_large_jpegs_are_decoded_smaller(size: tuple[int, int], decoded: tuple[int, int]) -> None:
    image, fit = decode_to_fit(jpeg(scene(*size)), INPUT)

    assert image.shape == (*decoded[::-1], 3)
    assert (fit.geometry.width, fit.geometry.height) == size
    assert fit == Fit.of(*size, INPUT)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_is_reduced_the_right_way_round(orientation: int) -> None:
    data = with_segments(jpeg(scene(400, 240), quality=95), exif(orientation))
    whole = decode(data)

    image, fit = decode_to_fit(data, INPUT)

    assert (fit.geometry.width, fit.geometry.height) == whole.shape[1::-1]
    assert sorted(image.shape[:2]) == [60, 100]
    smaller = cv2.resize(whole, image.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(smaller.astype(int) - image).mean() < 4
    assert image.flags.c_contiguous


@pytest.mark.parametrize("name", ["jpeg-grey", "jpeg-progressive", "jpeg-restarts"])
def test_other_kinds_are_reduced_too(name: str) -> None:
    options: dict[str, dict[str, object]] = {
        "jpeg-progressive": {"progressive": True},
        "jpeg-restarts": {"restart_marker_blocks": 1},
    }
    picture = scene(300, 300)[..., 0] if name == "jpeg-grey" else scene(300, 300)

    image, _ = decode_to_fit(jpeg(picture, **options.get(name, {})), INPUT)

    assert image.shape == (75, 75, 3)


@pytest.mark.parametrize("extension", [".png", ".webp"])
def test_other_formats_are_decoded_whole(extension: str) -> None:
    image, fit = decode_to_fit(encode(scene(300, 200), extension), INPUT)

    assert image.shape == (200, 300, 3)
    assert fit == Fit.of(300, 200, INPUT)


def test_a_large_damaged_jpeg_is_decoded_whole_by_opencv() -> None:
    data = bytearray(jpeg(scene(300, 300)))
    data[data.index(b"\xff\xda") + 400] ^= 0x55

    image, _ = decode_to_fit(data, INPUT)

    assert decode_jpeg(bytes(data), header_of(bytes(data))) is None
    np.testing.assert_array_equal(image, by_opencv(data))


@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(1, 64), st.booleans(), st.integers(0, 3)
)
def test_what_is_decoded_is_never_smaller_than_its_place_in_the_input(
    width: int, height: int, side: int, scale_up: bool, shrink: int
) -> None:
    spec = Input(side, max(1, side >> shrink), 114, scale_up, 1 / 255, "images", "output")

    image, fit = decode_to_fit(jpeg(np.full((height, width, 3), 99, np.uint8)), spec)

    assert image.shape[1] >= min(width, fit.inner_width)
    assert image.shape[0] >= min(height, fit.inner_height)
    assert fit.resize(image).shape == (fit.inner_height, fit.inner_width, 3)
    assert np.abs(image.astype(int) - 99).max() <= 2
