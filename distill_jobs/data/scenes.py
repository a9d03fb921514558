"""The embedded data set: scenes as a fixed camera over a street sees them, drawn by this code.

Everything follows from the seed: the same seed gives the same bytes on one version of OpenCV.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from distill_jobs.data.actors import ACTORS, Actor
from distill_jobs.data.canvas import Brush, Canvas
from distill_jobs.data.places import Place
from distill_jobs.files import write_atomically

CLASS_NAMES = tuple(actor.name for actor in ACTORS)
_OVERSAMPLING = 2  # painted at twice the size and averaged: smooth edges
_MIN_VISIBLE = 0.4  # an object hidden more than this is not labelled
_MIN_SIDE_PX = 5.0
_JPEG_QUALITY = 92
_SPLIT_SEEDS = {"train": 1, "val": 2, "test": 3, "unlabelled": 4}


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it.

    Attributes:
        image: uint8 [size, size, 3], RGB.
        class_ids: int64 [K].
        boxes_xyxy_px: float32 [K, 4], corners of the visible part in pixels.
    """

    image: np.ndarray
    class_ids: np.ndarray
    boxes_xyxy_px: np.ndarray


def draw_scene(rng: np.random.Generator, size: int, *, place: Place | None = None) -> Scene:
    """Draw one scene.

    Args:
        rng: Source of everything random in it.
        size: Width and height, pixels.
        place: The camera's view; a new one when None.

    Returns:
        The scene, with one to seven objects on the ground.
    """
    place = place or Place.imagine(rng)
    canvas = Canvas(size * _OVERSAMPLING)
    place.paint(canvas)
    actors = _populate(rng, canvas, place)
    class_ids, boxes = _visible_objects(canvas, actors)
    image = _photograph(rng, canvas.pixels, size)
    return Scene(image, class_ids, boxes / _OVERSAMPLING)


def draw_split(split: str, count: int, size: int, seed: int) -> Iterator[Scene]:
    """Draw a split's scenes; scene i depends on seed, split and i alone.

    Args:
        split: "train", "val", "test" or "unlabelled": each has its own stream of random numbers.
        count: How many.
        size: Width and height, pixels.
        seed: Of the whole data set.

    Yields:
        The scenes, in order.
    """
    for index in range(count):
        yield draw_scene(np.random.default_rng((seed, _SPLIT_SEEDS[split], index)), size)


def write_split(folder: Path, split: str, count: int, size: int, seed: int) -> Iterator[Path]:
    """Draw a split into `images/SPLIT` and `labels/SPLIT`.

    Args:
        folder: Root of the data set.
        split: "train", "val" or "test".
        count: How many scenes.
        size: Width and height, pixels.
        seed: Of the whole data set.

    Yields:
        Each image's path when it and its labels lie on the disk.
    """
    images, labels = folder / "images" / split, folder / "labels" / split
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    for index, scene in enumerate(draw_split(split, count, size, seed)):
        name = f"scene-{index:05d}"
        image = images / f"{name}.jpg"
        write_atomically(labels / f"{name}.txt", _label_rows(scene, size).encode())
        write_atomically(image, encode(scene.image))
        yield image


def write_unlabelled(folder: Path, count: int, size: int, seed: int) -> Iterator[Path]:
    """Draw scenes into `images/train` after those that have labels, without writing any.

    Args:
        folder: Root of the data set.
        count: How many scenes.
        size: Width and height, pixels.
        seed: Of the whole data set.

    Yields:
        Each image's path when it lies on the disk.
    """
    for index, scene in enumerate(draw_split("unlabelled", count, size, seed)):
        image = folder / "images" / "train" / f"unlabelled-{index:05d}.jpg"
        write_atomically(image, encode(scene.image))
        yield image


def encode(image: np.ndarray) -> bytes:
    """Return an RGB picture, uint8 [H, W, 3], as a JPEG."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return bytes(data)


def _label_rows(scene: Scene, size: int) -> str:
    rows = []
    for class_id, (x1, y1, x2, y2) in zip(scene.class_ids, scene.boxes_xyxy_px / size, strict=True):
        values = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
        rows.append(f"{class_id} " + " ".join(f"{value:.6f}" for value in values) + "\n")
    return "".join(rows)


def _populate(rng: np.random.Generator, canvas: Canvas, place: Place) -> list[tuple[int, int]]:
    """Paint objects from far to near; returns class id and painted pixels of each."""
    count = int(rng.integers(1, 8))
    depths = np.sort(rng.uniform(0.16, 1.0, count))
    painted = []
    for owner, depth in enumerate(depths):
        class_id = int(rng.integers(len(ACTORS)))
        actor = ACTORS[class_id]
        brush = _stand(rng, canvas, place, actor=actor, owner=owner, depth=float(depth))
        actor.draw(brush, rng)
        painted.append((class_id, int((canvas.owners == owner).sum())))
    return painted


def _stand(
    rng: np.random.Generator,
    canvas: Canvas,
    place: Place,
    *,
    actor: Actor,
    owner: int,
    depth: float,
) -> Brush:
    """Choose where an object stands, lay its shadow, and hand over the brush to paint it."""
    far = place.horizon + 0.03
    foot_y = canvas.side * (far + (0.97 - far) * depth)
    scale = (0.34 + 0.66 * depth) * float(rng.uniform(0.9, 1.12))
    height = canvas.side * actor.height * scale
    width = height * actor.aspect
    foot_x = canvas.side * float(rng.uniform(0.04, 0.96))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    canvas.darken((foot_x + width * 0.06, foot_y), (width * 0.52, height * 0.07), 0.5 * place.light)
    return Brush(
        canvas,
        owner,
        foot=(foot_x, foot_y),
        width=width * mirror,
        height=height,
        light=place.light * float(rng.uniform(0.88, 1.08)),
    )


def _visible_objects(
    canvas: Canvas, painted: list[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    class_ids: list[int] = []
    boxes: list[tuple[float, float, float, float]] = []
    for owner, (class_id, pixels) in enumerate(painted):
        ys, xs = np.nonzero(canvas.owners == owner)
        if pixels == 0 or len(xs) < _MIN_VISIBLE * pixels:
            continue
        box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
        if min(box[2] - box[0], box[3] - box[1]) >= _MIN_SIDE_PX * _OVERSAMPLING:
            class_ids.append(class_id)
            boxes.append(box)
    return np.array(class_ids, np.int64), np.array(boxes, np.float32).reshape(-1, 4)


def _photograph(rng: np.random.Generator, pixels: np.ndarray, size: int) -> np.ndarray:
    """Give the painting what a camera adds: uneven light, a little blur, noise."""
    image = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    tilt = rng.uniform(-0.12, 0.12, 2)
    light = 1 + tilt[0] * axis[None, :] + tilt[1] * axis[:, None]
    light -= 0.1 * (axis[None, :] ** 2 + axis[:, None] ** 2)
    tint = rng.uniform(0.95, 1.05, 3)
    image = image * light[..., None] * tint * rng.uniform(0.88, 1.12)
    image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 0.65)))
    image += rng.normal(0, rng.uniform(2, 7), image.shape)
    return np.asarray(np.clip(image, 0, 255), np.uint8)
