"""A frame on which two arms disagree, and what is written of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

from serving.dataplane.agreement import mean_iou
from serving.store.observations import AgreementSums
from serving.store.values import Release
from serving.torchserve.inference import WorkerReply

_SUFFIXES = ((0, b"\xff\xd8\xff", ".jpg"), (0, b"\x89PNG\r\n", ".png"), (8, b"WEBP", ".webp"))


@dataclass(frozen=True)
class ArmAnswer:
    """What one arm answered.

    Attributes:
        arm: Its name.
        release: Its release; class ids are of this card.
        reply: Its worker's.
    """

    arm: str
    release: Release
    reply: WorkerReply


@dataclass(frozen=True)
class Disagreement:
    """A frame and the two answers to it.

    Attributes:
        image: Encoded, as the camera sent it.
        camera_id: As the camera said; "" where it said nothing.
        frame_id: As the camera said.
        at: When both answers were there, UTC.
        route: Under which it was sent.
        revision: Of the routes.
        primary: What the camera got.
        shadow: What the other arm answered, unheard.
        agreement: Of the two.
    """

    image: bytes
    camera_id: str
    frame_id: str
    at: datetime
    route: str
    revision: int
    primary: ArmAnswer
    shadow: ArmAnswer
    agreement: AgreementSums

    @property
    def labelled_by(self) -> Literal["primary", "shadow"]:
        """Whose answer becomes the labels: the teacher's; of two alike, what the camera got."""
        roles = (self.primary.release.role, self.shadow.release.role)
        return "shadow" if roles == ("student", "teacher") else "primary"

    @property
    def label_source(self) -> ArmAnswer:
        """The answer that becomes the labels."""
        return self.shadow if self.labelled_by == "shadow" else self.primary

    def image_suffix(self) -> str | None:
        """Return the file name's ending by the image's own first bytes, None of an unknown kind."""
        for place, mark, suffix in _SUFFIXES:
            if self.image.startswith(mark, place):
                return suffix
        return None

    def label_rows(self) -> str:
        """Return the label file: a row `class cx cy w h` a box, in fractions of the image.

        What sticks out of the image is cut off; a box without area is left out.
        """
        reply = self.label_source.reply
        sides = iter(reply.boxes_xyxy_px)
        corners = zip(sides, sides, sides, sides, strict=True)
        rows = (
            _row(class_id, box, reply.width, reply.height)
            for class_id, box in zip(reply.class_ids, corners, strict=True)
        )
        return "".join(rows)

    def answers_json(self) -> bytes:
        """Return both answers and where the frame is from, as JSON."""
        sums = self.agreement
        content = {
            "at": self.at.isoformat(),
            "camera_id": self.camera_id,
            "frame_id": self.frame_id,
            "route": self.route,
            "revision": self.revision,
            "labels_from": self.labelled_by,
            "agreement": {
                "f1": sums.f1,
                "matched": sums.matched,
                "mean_iou": mean_iou(sums),
                "count_difference": sums.count_difference,
            },
            "primary": _told(self.primary),
            "shadow": _told(self.shadow),
        }
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _row(
    class_id: int, box: tuple[float, float, float, float], width_px: int, height_px: int
) -> str:
    x1, x2 = (min(max(side / width_px, 0.0), 1.0) for side in (box[0], box[2]))
    y1, y2 = (min(max(side / height_px, 0.0), 1.0) for side in (box[1], box[3]))
    values = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
    # Rounded first: what is written as 0.000000 has no area to a job that reads it.
    rounded = [f"{value:.6f}" for value in values]
    if float(rounded[2]) <= 0 or float(rounded[3]) <= 0:
        return ""
    return f"{class_id} {' '.join(rounded)}\n"


def _told(answer: ArmAnswer) -> dict[str, Any]:
    reply, names = answer.reply, answer.release.class_names
    return {
        "arm": answer.arm,
        "release": str(answer.release.key),
        "role": answer.release.role,
        "variant": reply.variant,
        "image_size": [reply.width, reply.height],
        "detections": [
            {
                "box_xyxy_px": reply.boxes_xyxy_px[4 * place : 4 * place + 4],
                "class_id": class_id,
                "label": names[class_id],
                "score": score,
            }
            for place, (class_id, score) in enumerate(
                zip(reply.class_ids, reply.scores, strict=True)
            )
        ],
    }
