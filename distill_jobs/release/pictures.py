"""Detections drawn for people: one detector's, or teacher and student side by side."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from distill_jobs import files
from handlers.pipeline import Detections

Image = npt.NDArray[np.uint8]

_PANEL_WIDTH_PX = 720
_BAR_HEIGHT_PX = 44
_GAP_PX = 6
_INK, _PAPER, _MUTED = (30, 30, 30), (250, 250, 250), (120, 120, 120)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Strong colours, RGB, neighbours far apart: class ids next to each other are told apart.
_PALETTE = (
    (31, 119, 220),
    (255, 127, 14),
    (34, 160, 54),
    (220, 30, 60),
    (255, 214, 0),
    (148, 80, 200),
    (0, 190, 200),
    (240, 90, 180),
    (130, 200, 20),
    (0, 107, 92),
)


def side_by_side(
    image: Image,
    teacher: Detections,
    student: Detections,
    names: Sequence[str],
    *,
    titles: tuple[str, str] = ("teacher", "student"),
    subtitles: tuple[str, str] = ("", ""),
) -> Image:
    """Draw what teacher and student see in one image, next to each other.

    Args:
        image: uint8 [H, W, 3], RGB.
        teacher: Its detections, pixels of `image`.
        student: Likewise.
        names: Class names; index = class id.
        titles: Heads of the two panels.
        subtitles: Figures beside the heads, e.g. "25.5 ms".

    Returns:
        uint8 [H', W', 3], RGB: two panels of 720 pixels width under their title bars.
    """
    panels = [
        np.vstack(
            [
                title_bar(title, subtitle or f"{len(found.scores)} detections"),
                draw(image, found, names),
            ]
        )
        for found, title, subtitle in zip((teacher, student), titles, subtitles, strict=True)
    ]
    gap = np.full((panels[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    joined: Image = np.hstack([panels[0], gap, panels[1]])
    return joined


def write_picture(picture: Image, path: Path) -> None:
    """Write an RGB picture as PNG or JPEG, by the path's ending, whole or not at all."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if path.suffix in {".jpg", ".jpeg"} else []
    _, encoded = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    files.write_atomically(path, encoded.tobytes())


def title_bar(title: str, subtitle: str) -> Image:
    """Return a bar of a panel's width: a title on the left, smaller figures on the right."""
    bar = np.full((_BAR_HEIGHT_PX, _PANEL_WIDTH_PX, 3), _PAPER, np.uint8)
    cv2.putText(bar, title, (12, 30), _FONT, 0.8, _INK, 2, cv2.LINE_AA)
    width = cv2.getTextSize(subtitle, _FONT, 0.55, 1)[0][0]
    place = (_PANEL_WIDTH_PX - width - 12, 29)
    cv2.putText(bar, subtitle, place, _FONT, 0.55, _MUTED, 1, cv2.LINE_AA)
    return bar


def draw(image: Image, found: Detections, names: Sequence[str]) -> Image:
    """Scale an image to the panel's width and draw boxes on it, the best on top.

    Args:
        image: uint8 [H, W, 3], RGB.
        found: Detections, pixels of `image`.
        names: Class names; index = class id.

    Returns:
        uint8 [H', 720, 3], RGB.
    """
    scale = _PANEL_WIDTH_PX / image.shape[1]
    size = (_PANEL_WIDTH_PX, max(1, round(image.shape[0] * scale)))
    shrinks = scale < 1
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    panel: Image = np.ascontiguousarray(
        cv2.resize(image, size, interpolation=interpolation), np.uint8
    )
    order = np.argsort(found.scores, kind="stable")
    boxes = np.rint(found.boxes_xyxy_px * scale).astype(int)
    for place in order:
        colour = _PALETTE[int(found.class_ids[place]) % len(_PALETTE)]
        x1, y1, x2, y2 = boxes[place].tolist()
        cv2.rectangle(panel, (x1, y1), (x2, y2), colour, 2, cv2.LINE_AA)
    for place in order:
        class_id = int(found.class_ids[place])
        text = f"{names[class_id]} {found.scores[place]:.2f}"
        _label(panel, text, boxes[place].tolist(), _PALETTE[class_id % len(_PALETTE)])
    return panel


def _label(panel: Image, text: str, box: Sequence[int], colour: tuple[int, int, int]) -> None:
    """Write on a filled tag above the box, or inside it where there is no room above."""
    (width, height), base = cv2.getTextSize(text, _FONT, 0.5, 1)
    left = min(max(box[0] - 1, 0), max(0, panel.shape[1] - width - 8))
    bottom = box[1] if box[1] >= height + base + 4 else min(panel.shape[0], box[1] + height + 8)
    top = bottom - height - base - 4
    cv2.rectangle(panel, (left, top), (left + width + 8, bottom), colour, cv2.FILLED)
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 150
    ink = _INK if bright else (255, 255, 255)
    cv2.putText(panel, text, (left + 4, bottom - base), _FONT, 0.5, ink, 1, cv2.LINE_AA)
