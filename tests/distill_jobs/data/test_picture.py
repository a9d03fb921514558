import io

import cv2
import numpy as np
import pytest
from data_sets import texture
from PIL import Image

from distill_jobs.data.picture import look_at, perceptual_hash
from distill_jobs.environment import offline
from handlers.images import decode

ORIENTATION, ON_ITS_SIDE = 0x0112, 6


def turned(kind: str) -> bytes:
    """Return 48 x 32 pixels that an EXIF orientation turns to 32 x 48."""
    exif = Image.Exif()
    exif[ORIENTATION] = ON_ITS_SIDE
    buffer = io.BytesIO()
    Image.fromarray(texture(1)[:32]).save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_training_and_serving_turn_a_picture_alike(tmp_path, kind):
    """Labels are fractions of the upright picture: all must mean the same width and height."""
    offline()
    from ultralytics.data.utils import check_image
    from ultralytics.utils.patches import imread

    path = tmp_path / f"turned.{kind.lower()}"
    path.write_bytes(turned(kind))

    picture = look_at(path)

    trained = imread(path)
    assert trained is not None
    assert trained.shape == (picture.height, picture.width, 3)
    assert check_image(str(path))[1] == (picture.height, picture.width)
    assert decode(path.read_bytes()).shape == (picture.height, picture.width, 3)
    np.testing.assert_array_equal(decode(path.read_bytes()), trained[..., ::-1])


def test_a_jpeg_on_its_side_is_measured_upright(tmp_path):
    path = tmp_path / "turned.jpg"
    path.write_bytes(turned("JPEG"))

    picture = look_at(path)

    assert (picture.width, picture.height) == (32, 48)


def test_a_hash_survives_what_does_not_change_a_picture():
    picture = texture(3, side=200)
    noise = np.random.default_rng(0).normal(0, 6, picture.shape)
    _, compressed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])
    versions = {
        "smaller": cv2.resize(picture, (90, 90), interpolation=cv2.INTER_AREA),
        "noisy": np.clip(picture + noise, 0, 255).astype(np.uint8),
        "compressed": cv2.imdecode(compressed, cv2.IMREAD_COLOR),
    }

    bits = {
        name: (perceptual_hash(picture) ^ perceptual_hash(np.asarray(one, np.uint8))).bit_count()
        for name, one in versions.items()
    }

    assert max(bits.values()) <= 4, bits
    others = [perceptual_hash(texture(seed, side=200)) for seed in range(10, 40)]
    assert min((perceptual_hash(picture) ^ other).bit_count() for other in others) > 12


def test_a_flat_picture_has_a_hash_of_its_own_level_alone():
    flat = np.full((40, 40, 3), 90, np.uint8)

    assert perceptual_hash(flat).bit_count() <= 1
