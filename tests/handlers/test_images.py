import contextlib
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from encoded_images import (
    bombs,
    in_a_damaged_animation,
    in_every_format,
    in_other_formats,
    in_scans,
    scene,
    with_packed_texts,
)
from hypothesis import given
from hypothesis import strategies as st
from tiny_detectors import encode

from handlers.headers import MAX_PACKED_TEXTS, MAX_SCANS
from handlers.images import BadFrame, decode

FORMATS = in_every_format()
COLOURLESS = {"jpeg-grey", "png-16-bit", "png-bilevel"}


def code_of(data: bytes) -> str:
    with pytest.raises(BadFrame) as caught:
        decode(data)
    assert caught.value.field == "image"
    assert caught.value.message.startswith("image: ")
    return caught.value.code


@pytest.mark.parametrize("name", FORMATS)
def test_every_dress_of_the_three_formats_becomes_rgb(name: str) -> None:
    image = decode(FORMATS[name])

    upright = (40, 24, 3) if "turned" in name else (24, 40, 3)
    assert image.shape == upright
    assert image.dtype == np.uint8
    if name not in COLOURLESS and "turned" not in name:
        red, _, blue = image[12, 6].astype(int)
        assert red > blue + 80
        red, _, blue = image[12, 34].astype(int)
        assert blue > red + 80


def test_lossless_pixels_come_back_as_they_were() -> None:
    np.testing.assert_array_equal(decode(FORMATS["png"]), scene())
    np.testing.assert_array_equal(decode(FORMATS["webp-lossless"]), scene())


def test_a_turned_camera_gives_an_upright_picture() -> None:
    image = decode(FORMATS["jpeg-turned"]).astype(int)

    # Orientation 6: the stored left edge, red, is what the viewer sees on top.
    assert image[3, 12, 0] > image[3, 12, 2] + 80
    assert image[36, 12, 2] > image[36, 12, 0] + 80


@pytest.mark.parametrize("name", FORMATS)
def test_every_truncation_is_refused(name: str) -> None:
    data = FORMATS[name]

    codes = {code_of(data[:length]) for length in range(1, len(data))}

    assert codes == {"truncated_image"}


@pytest.mark.parametrize("photo", ["bus.jpg", "zidane.jpg"])
def test_a_truncated_photo_is_refused(photos: Path, photo: str) -> None:
    data = (photos / photo).read_bytes()
    lengths = {*range(1, len(data), len(data) // 400), *range(len(data) - 300, len(data))}

    codes = {code_of(data[:length]) for length in lengths}

    assert codes == {"truncated_image"}
    assert decode(data).ndim == 3


@pytest.mark.parametrize("name", ["jpeg", "jpeg-progressive", "png", "webp"])
@given(tail=st.binary(min_size=1, max_size=64))
def test_bytes_after_the_end_are_ignored(name: str, tail: bytes) -> None:
    np.testing.assert_array_equal(decode(FORMATS[name] + tail), decode(FORMATS[name]))


def test_a_second_picture_after_the_first_is_ignored() -> None:
    np.testing.assert_array_equal(
        decode(FORMATS["jpeg"] + FORMATS["jpeg-progressive"]), decode(FORMATS["jpeg"])
    )


def test_a_cut_picture_followed_by_a_whole_one_is_refused() -> None:
    cut = FORMATS["jpeg"][:-40]

    assert code_of(cut + FORMATS["jpeg"]) == "truncated_image"


@pytest.mark.parametrize("name", bombs())
def test_a_bomb_is_refused_from_its_header(name: str) -> None:
    data = bombs()[name]

    assert len(data) < 3000
    assert code_of(data) == "image_too_large"


@pytest.mark.parametrize(
    ("make", "limit"), [(in_scans, MAX_SCANS), (with_packed_texts, MAX_PACKED_TEXTS)]
)
def test_a_small_picture_that_takes_minutes_to_decode_is_refused_from_its_structure(
    make: Callable[[int], bytes], limit: int
) -> None:
    assert decode(make(limit)).shape == scene().shape
    with pytest.raises(BadFrame, match=f"{limit}.*send a JPEG, PNG or WebP image") as caught:
        decode(make(limit + 1))
    assert caught.value.code == "not_an_image"


def test_the_limit_on_pixels_is_named_and_holds_exactly() -> None:
    data = FORMATS["png"]

    assert decode(data, max_pixels=40 * 24).shape == (24, 40, 3)
    with pytest.raises(BadFrame, match=r"40x24 is 960 pixels, more than the limit of 959"):
        decode(data, max_pixels=40 * 24 - 1)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_body"),
        (b"hello", "not_an_image"),
        (b"\x00" * 4096, "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
        (b"RIFF\x04\x00\x00\x00WAVEfmt " + b"\x00" * 40, "not_an_image"),
        (b"\xff\xd8\xff\xd9", "not_an_image"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sI", 0, b"IEND", 0), "not_an_image"),
        (b"RIFF" + struct.pack("<I", 32) + b"WEBPEXIF" + b"\x00" * 28, "not_an_image"),
        *[(data, "not_an_image") for data in in_other_formats().values()],
    ],
)
def test_what_is_no_image_of_ours_is_refused(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_an_image_of_no_pixels_is_refused() -> None:
    data = bytearray(FORMATS["jpeg"])
    frame = data.index(b"\xff\xc0") + 5
    data[frame : frame + 2] = b"\x00\x00"

    assert code_of(bytes(data)) == "not_an_image"


def test_a_side_beyond_the_decoder_is_refused() -> None:
    data = bytearray(FORMATS["png"])
    data[16:24] = struct.pack(">II", 1 << 21, 1)

    assert code_of(bytes(data)) == "not_an_image"


def test_a_png_damaged_inside_is_refused() -> None:
    data = bytearray(FORMATS["png"])
    data[data.index(b"IDAT") + 20] ^= 0xFF

    assert code_of(bytes(data)) == "not_an_image"


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_damage_anywhere_gives_an_image_or_a_bad_frame(name: str, data: st.DataObject) -> None:
    damaged = bytearray(FORMATS[name])
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=4)):
        damaged[place] = data.draw(st.integers(0, 255))

    # Anything but a BadFrame would fail the batch-mates.
    with contextlib.suppress(BadFrame):
        assert decode(damaged, max_pixels=1_000_000).size <= 3_000_000


def test_an_animation_that_would_end_the_process_gives_its_first_picture() -> None:
    """Decoded in a process of its own: a regression is a test that fails, not one that is gone."""
    program = (
        "import sys; from handlers.images import decode; "
        "sys.stdout.buffer.write(decode(sys.stdin.buffer.read()).tobytes())"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        input=in_a_damaged_animation(),
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0
    assert done.stdout == decode(FORMATS["png-animated"]).tobytes()


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]))
def test_noise_is_a_bad_frame(noise: bytes, start: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(start + noise)


def test_a_bytearray_decodes_like_bytes() -> None:
    data = encode(scene(), ".png")

    np.testing.assert_array_equal(decode(bytearray(data)), decode(data))
