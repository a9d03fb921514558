"""How far two arms agreed on a frame: class by class and box by box, as sums that add up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from serving.boxes import Boxes, Pairs, pair_up
from serving.errors import WorkerFailed
from serving.store.observations import AgreementSums, ClassAgreement
from serving.torchserve.inference import WorkerReply

MIN_IOU = 0.5


def compare(
    primary: WorkerReply, shadow: WorkerReply, *, min_iou: float = MIN_IOU
) -> AgreementSums:
    """Compare two answers to one frame; class ids mean the same in both (see `renumbered`).

    Args:
        primary: What the camera got.
        shadow: What the other arm answered, unheard.
        min_iou: Boxes of one class that overlap by at least this may be one object; above 0.
    """
    heard, unheard = _boxes(primary), _boxes(shadow)
    pairs = pair_up(heard, unheard, min_iou=min_iou)
    boxes = len(heard) + len(unheard)
    return AgreementSums(
        frames=1,
        f1=2 * len(pairs) / boxes if boxes else 1.0,
        matched=len(pairs),
        iou=float(pairs.ious.sum()),
        score_difference=float(pairs.score_differences.sum()),
        count_difference=abs(len(heard) - len(unheard)),
        classes=_by_class(heard, unheard, pairs),
    )


def renumbered(reply: WorkerReply, names: Sequence[str], wanted: Sequence[str]) -> WorkerReply:
    """Return a reply with its classes numbered as another card numbers them.

    A class that the other card does not name gets a number beyond all of its own, so that it
    agrees with none.

    Args:
        reply: Of a release.
        names: The classes of its card; index = class id.
        wanted: Those of the other card.

    Raises:
        WorkerFailed: The reply holds a class that its own card does not.
    """
    unknown = [one for one in reply.class_ids if not 0 <= one < len(names)]
    if unknown:
        raise WorkerFailed(f"class {unknown[0]} answered, and the card names {len(names)} classes")
    if names == wanted:
        return reply
    place = {name: number for number, name in enumerate(wanted)}
    numbers = [place.get(name, len(wanted) + number) for number, name in enumerate(names)]
    return replace(reply, class_ids=tuple(numbers[one] for one in reply.class_ids))


def merged(parts: Iterable[AgreementSums]) -> AgreementSums:
    """Return the sums over all parts."""
    all_parts = list(parts)
    return AgreementSums(
        frames=sum(one.frames for one in all_parts),
        f1=sum(one.f1 for one in all_parts),
        matched=sum(one.matched for one in all_parts),
        iou=sum(one.iou for one in all_parts),
        score_difference=sum(one.score_difference for one in all_parts),
        count_difference=sum(one.count_difference for one in all_parts),
        classes=_merged_classes(one.classes for one in all_parts),
    )


def f1(sums: AgreementSums) -> float | None:
    """Return the mean over the frames of their F1, 0 to 1; None without a frame."""
    return sums.f1 / sums.frames if sums.frames else None


def mean_iou(sums: AgreementSums) -> float | None:
    """Return the mean IoU of the pairs, 0 to 1; None without a pair."""
    return sums.iou / sums.matched if sums.matched else None


def _boxes(reply: WorkerReply) -> Boxes:
    return Boxes.of(reply.boxes_xyxy_px, reply.class_ids, reply.scores)


def _by_class(heard: Boxes, unheard: Boxes, pairs: Pairs) -> dict[int, ClassAgreement]:
    present = np.union1d(heard.class_ids, unheard.class_ids)
    matched = heard.class_ids[pairs.first]
    return {
        int(one): ClassAgreement(
            matched=int((matched == one).sum()),
            primary=int((heard.class_ids == one).sum()),
            shadow=int((unheard.class_ids == one).sum()),
        )
        for one in present
    }


def _merged_classes(
    parts: Iterable[Mapping[int, ClassAgreement]],
) -> dict[int, ClassAgreement]:
    total: dict[int, ClassAgreement] = {}
    for part in parts:
        for number, one in part.items():
            before = total.get(number, ClassAgreement())
            total[number] = ClassAgreement(
                matched=before.matched + one.matched,
                primary=before.primary + one.primary,
                shadow=before.shadow + one.shadow,
            )
    return total
