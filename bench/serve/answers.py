"""What each server answers, read into one shape and held against what should be there."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serving.boxes import Boxes, pair_up


class Mismatch(Exception):
    """Two servers see different things on the same image: no comparison of their speed stands."""


@dataclass(frozen=True)
class Answer:
    """What a server found in an image.

    Attributes:
        boxes: In pixels of the original.
        who: Variant and arm that answered, "" where a server has none.
        stages_ms: Where the time went, as far as a server tells.
    """

    boxes: Boxes
    who: str = ""
    stages_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Tolerance:
    """How far two answers may differ and still be the same.

    Attributes:
        iou: Least overlap of two boxes that are one.
        score: Most by which their scores differ; a box whose score is within this of the threshold
            may lack a partner.
        share: Least part of the boxes, both sides and all images together, with a partner.
    """

    iou: float
    score: float
    share: float


# The same graph, decoder and arithmetic: only the order of sums may differ.
SAME_PATH = Tolerance(iou=0.95, score=0.02, share=1.0)
# Another precision or shape of input, whose accuracy is measured apart.
OTHER_PATH = Tolerance(iou=0.6, score=0.15, share=0.85)


def read(server: str, body: bytes) -> Answer:
    """Read a reply.

    Args:
        server: Whose, as the contestants name it.
        body: As it came.

    Raises:
        ValueError: It is no answer of that server.
    """
    reader = _READERS.get(server, _plain)
    try:
        return reader(body)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{server}: not an answer: {body[:200]!r}") from error


def hold_together(
    name: str,
    answers: Sequence[Answer],
    reference: Sequence[Answer],
    tolerance: Tolerance,
    threshold: float,
) -> float:
    """Refuse a server that answers otherwise than it should.

    Args:
        name: Whose answers they are.
        answers: One an image.
        reference: What they should be.
        tolerance: How far they may differ.
        threshold: Lowest score that is kept.

    Returns:
        The share of the boxes that have a partner.

    Raises:
        Mismatch: They differ further; the message names the worst image.
    """
    counts = [
        _partners(one, other, tolerance, threshold)
        for one, other in zip(answers, reference, strict=True)
    ]
    found, wanted = sum(pair[0] for pair in counts), sum(pair[1] for pair in counts)
    share = found / wanted if wanted else 1.0
    if not wanted or share < tolerance.share:
        worst = min(range(len(counts)), key=lambda place: counts[place][0] - counts[place][1])
        raise Mismatch(
            f"{name}: {found} of {wanted} boxes are where they should be, "
            f"less than {tolerance.share:.0%} (IoU {tolerance.iou}, score {tolerance.score}); "
            f"worst: image {worst}, {_told(answers[worst])} for {_told(reference[worst])}"
        )
    return share


def _partners(
    one: Answer, other: Answer, tolerance: Tolerance, threshold: float
) -> tuple[int, int]:
    """Return how many boxes of both sides have a partner, of how many that must have one."""
    pairs = pair_up(
        one.boxes, other.boxes, min_iou=tolerance.iou, max_score_difference=tolerance.score
    )
    certain = threshold + tolerance.score
    lone = sum(
        int((np.delete(answer.boxes.scores, places) >= certain).sum())
        for answer, places in ((one, pairs.first), (other, pairs.second))
    )
    return 2 * len(pairs), 2 * len(pairs) + lone


def _told(answer: Answer) -> str:
    boxes = [
        f"{class_id} {score:.2f} at {box.round().tolist()}"
        for box, score, class_id in zip(
            answer.boxes.corners_px[:4], answer.boxes.scores, answer.boxes.class_ids, strict=False
        )
    ]
    return f"{len(answer.boxes)} boxes ({'; '.join(boxes)})"


def _of(
    document: Mapping[str, Any], who: str = "", stages_ms: Mapping[str, float] | None = None
) -> Answer:
    flat = np.asarray(document["boxes"], np.float64).ravel().tolist()
    return Answer(Boxes.of(flat, document["classes"], document["scores"]), who, stages_ms or {})


def _plain(body: bytes) -> Answer:
    return _of(json.loads(body))


def _torchserve(body: bytes) -> Answer:
    document = json.loads(body)
    return _of(document, str(document["variant"]), document["ms"])


def _bentoml(body: bytes) -> Answer:
    (document,) = json.loads(body)
    return _of(document)


def _triton(body: bytes) -> Answer:
    """Read the binary tensor extension: JSON, four bytes of length, the element."""
    _, place = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    return _of(json.loads(body[place + 4 :]))


def _ours(body: bytes) -> Answer:
    document = json.loads(body)
    found, by = document["detections"], document["answeredBy"]
    flat = [one["box"][edge] for one in found for edge in ("x1", "y1", "x2", "y2")]
    boxes = Boxes.of(flat, [one["classId"] for one in found], [one["score"] for one in found])
    stages_ms = {name.removesuffix("Ms"): ms for name, ms in document["timings"].items()}
    return Answer(boxes, f"{by['variant']} {by['arm']}", stages_ms)


_READERS: dict[str, Callable[[bytes], Answer]] = {
    "ours": _ours,
    "torchserve": _torchserve,
    "bentoml": _bentoml,
    "triton": _triton,
}
