"""The list that a person edits before harvested frames are trained on, and its pictures."""

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distill_jobs.data.labels import Row, read_rows
from distill_jobs.data.picture import pixels_of
from distill_jobs.errors import DataSetInvalid
from distill_jobs.files import write_atomically
from distill_jobs.redistil.harvest import HarvestFrame
from distill_jobs.release.pictures import draw
from distill_jobs.tracking.page import Page, PagePicture, PageSection, picture_uri, write_page
from distill_jobs.tracking.pictures import jpeg
from handlers.frames import Detections

_FIELDS = ("verdict", "frame", "camera", "at", "agreement_f1", "labelled_by")
_VERDICTS = ("accept", "reject", "")


@dataclass(frozen=True)
class Verdicts:
    """What a person said of the frames.

    Attributes:
        accepted: Names of frames whose labels are right: they train as labelled images.
        rejected: Names of frames that must not be used.
    """

    accepted: frozenset[str] = frozenset()
    rejected: frozenset[str] = frozenset()


def write_review(
    folder: Path, frames: Sequence[HarvestFrame], accepted: Collection[str] = ()
) -> Path:
    """Write the list and a page that shows each frame with the labels it would train with.

    Args:
        folder: Gets `review.csv` and `review.html`.
        frames: In the order of the list.
        accepted: Names of those whose labels a person accepted in an earlier review.

    Returns:
        The list. A line begins with an empty verdict, or with that of an earlier review: write
        `accept` where the labels are right, `reject` where the frame must not be used; a line
        without a verdict trains without its labels.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_FIELDS)
    for one in frames:
        verdict = "accept" if one.name in accepted else ""
        known = (_harmless(one.camera), one.at, f"{one.agreement_f1:.3f}", one.labelled_by)
        writer.writerow((verdict, one.name, *known))
    write_atomically(folder / "review.csv", text.getvalue().encode())
    pictures = [
        PagePicture(
            picture_uri(_drawn(one), "jpeg"), f"{place}. {one.name}, camera {one.camera or '-'}"
        )
        for place, one in enumerate(frames, start=2)  # as a text editor numbers the list's lines
    ]
    note = (
        "Each frame with the labels it would train with: a model's answers, not the truth. The "
        "number is the line in review.csv. These are personal data: give them to nobody."
    )
    sections = [PageSection("Frames", note=note, pictures=pictures)]
    subtitle = f"{len(frames)} frames; write `accept` or `reject` into review.csv."
    write_page(Page("Review of a harvest", subtitle, sections=sections), folder / "review.html")
    return folder / "review.csv"


def read_review(path: Path) -> Verdicts:
    """Read the list back.

    Raises:
        DataSetInvalid: It is missing or a line does not fit; the message names the line.
    """
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataSetInvalid(path, "is no readable review list") from error
    chosen: dict[str, set[str]] = {verdict: set() for verdict in _VERDICTS}
    for line, row in enumerate(rows, start=2):
        verdict = (row.get("verdict") or "").strip().lower()
        if verdict not in chosen or not row.get("frame"):
            raise DataSetInvalid(
                path,
                f"a line is `verdict,frame,...` with verdict accept, reject or nothing, not "
                f"{row.get('verdict')!r} for {row.get('frame')!r}",
                line=line,
            )
        chosen[verdict].add(str(row["frame"]))
    return Verdicts(frozenset(chosen["accept"]), frozenset(chosen["reject"]))


def _harmless(text: str) -> str:
    """Keep a spreadsheet from taking for a formula what a camera called itself."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _drawn(frame: HarvestFrame) -> bytes:
    """Draw a frame with those of its labels that fit; JPEG."""
    image = pixels_of(frame.image.read_bytes(), frame.image.suffix.lower())
    height, width = image.shape[:2]
    rows = _rows(frame)
    class_ids = np.array([row.class_id for row in rows], np.int64)
    boxes = np.array([row.box for row in rows], np.float32).reshape(-1, 4)
    half = boxes[:, 2:] / 2
    corners = np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), axis=1)
    size = np.array([width, height] * 2, np.float32)
    boxes_xyxy_px = np.clip(corners, 0, 1).astype(np.float32) * size
    sure = np.ones(len(class_ids), np.float32)
    found = Detections(boxes_xyxy_px, sure, class_ids, width, height, 0, 0, 0, 0)
    return jpeg(draw(image, found, frame.class_names))


def _rows(frame: HarvestFrame) -> Sequence[Row]:
    try:
        return read_rows(frame.labels, len(frame.class_names)).good
    except DataSetInvalid:  # no text, or no file: who accepts it is told
        return ()
