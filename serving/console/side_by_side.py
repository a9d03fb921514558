"""One frame, two releases: what each sees, and where they differ."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.boxes import Boxes, pair_up
from serving.console.services import Services
from serving.dataplane.agreement import MIN_IOU, renumbered
from serving.dataplane.frames import too_large
from serving.errors import BackendUnavailable, BadImage, ReleaseNotFound
from serving.store.values import Release, ReleaseKey
from serving.torchserve.backend import Backend
from serving.torchserve.inference import WorkerReply

_TIMEOUT_S = 30.0
_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp"}


@dataclass(frozen=True)
class Sight:
    """An object, as one release or both saw it.

    Attributes:
        label: Its class.
        box_xyxy_px: Where, in pixels of the original image.
        score: 0 to 1.
        partner: Its number in the other's list, from 0; None: the other did not see it.
        iou: With the partner, 0 to 1; None without one.
    """

    label: str
    box_xyxy_px: tuple[float, float, float, float]
    score: float
    partner: int | None
    iou: float | None


@dataclass(frozen=True)
class View:
    """What one release answered.

    Attributes:
        release: Which.
        variant: Of its card's, that answered.
        inference_ms: Of the model's run.
        sights: The best first.
    """

    release: str
    variant: str
    inference_ms: float
    sights: tuple[Sight, ...]


@dataclass(frozen=True)
class SideBySide:
    """Two answers to one frame.

    Attributes:
        width: Of the image, pixels.
        height: Likewise.
        views: The first release's and the second's.
        f1: 2 * both / (first's + second's), 0 to 1; 1 where neither saw anything.
        mean_iou: Of what both saw, 0 to 1; None where that is nothing.
    """

    width: int
    height: int
    views: tuple[View, View]
    f1: float
    mean_iou: float | None


class Asking:
    """Asks two releases about one frame, as warming asks: beside the cameras' way.

    Args:
        services: Where the backends and the releases are.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        # An operator's frame may wait; cameras' must not wait for many of them. Each release has
        # its own line: one that hangs holds up nobody who asks others.
        self._one_at_a_time: dict[ReleaseKey, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def both(self, image: bytes, first: ReleaseKey, second: ReleaseKey) -> SideBySide:
        """Return what two releases see in a frame.

        Raises:
            BadImage: It is no JPEG, PNG or WebP.
            ImageTooLarge: It has more bytes than a camera may send.
            ReleaseNotFound: There is no such release.
            UpstreamError: One is not loaded, or did not answer.
        """
        media_type(image)
        if len(image) > self._services.image_limit_bytes:
            raise too_large(self._services.image_limit_bytes, f"{len(image)} bytes")
        replies = [await self._ask(key, image) for key in (first, second)]
        releases = [await self._release(key) for key in (first, second)]
        return compared(releases, replies)

    async def _ask(self, key: ReleaseKey, image: bytes) -> WorkerReply:
        placements = await self._services.store.placements()
        backend = _backend(key, self._services.backends, placements)
        async with self._one_at_a_time[key]:
            return await backend.inference.predict(key, image, timeout_s=_TIMEOUT_S)

    async def _release(self, key: ReleaseKey) -> Release:
        release = await self._services.store.release(key)
        if release is None:
            raise ReleaseNotFound(f"release: no release {str(key)!r} here")
        return release


def media_type(image: bytes) -> str:
    """Return an image's media type by its first bytes.

    Raises:
        BadImage: It is no JPEG, PNG or WebP.
    """
    for beginning, kind in _KINDS.items():
        if image.startswith(beginning) and (kind != "image/webp" or image[8:12] == b"WEBP"):
            return kind
    raise BadImage("image", "image: not a JPEG, PNG or WebP file; choose one of these")


def compared(releases: Sequence[Release], replies: Sequence[WorkerReply]) -> SideBySide:
    """Pair the boxes of two answers as the shadow's comparison does.

    Args:
        releases: The first and the second.
        replies: Theirs.

    Raises:
        WorkerFailed: One answered a class that its card does not name.
    """
    names = releases[1].class_names
    first, second = (
        _boxes(renumbered(reply, release.class_names, names))
        for release, reply in zip(releases, replies, strict=True)
    )
    pairs = pair_up(first, second, min_iou=MIN_IOU)
    ious = [float(one) for one in pairs.ious]
    ahead = {
        int(i): (int(j), iou) for i, j, iou in zip(pairs.first, pairs.second, ious, strict=True)
    }
    back = {
        int(j): (int(i), iou) for i, j, iou in zip(pairs.first, pairs.second, ious, strict=True)
    }
    total = len(first) + len(second)
    return SideBySide(
        width=replies[0].width,
        height=replies[0].height,
        views=(
            _view(releases[0], replies[0], ahead),
            _view(releases[1], replies[1], back),
        ),
        f1=2 * len(pairs) / total if total else 1.0,
        mean_iou=sum(ious) / len(ious) if ious else None,
    )


def _view(release: Release, reply: WorkerReply, partners: Mapping[int, tuple[int, float]]) -> View:
    sights = []
    for place, (score, class_id) in enumerate(zip(reply.scores, reply.class_ids, strict=True)):
        x1, y1, x2, y2 = reply.boxes_xyxy_px[4 * place : 4 * place + 4]
        partner, iou = partners.get(place, (None, None))
        label = release.class_names[class_id]
        sights.append(Sight(label, (x1, y1, x2, y2), score, partner, iou))
    return View(str(release.key), reply.variant, reply.inference_ms, tuple(sights))


def _boxes(reply: WorkerReply) -> Boxes:
    return Boxes.of(reply.boxes_xyxy_px, reply.class_ids, reply.scores)


def _backend(
    key: ReleaseKey,
    backends: Sequence[Backend],
    placements: Mapping[str, Mapping[ReleaseKey, int]],
) -> Backend:
    for one in backends:
        if placements.get(one.name, {}).get(key, 0) > 0:
            return one
    raise BackendUnavailable(f"{key} is loaded nowhere now: deploy it, or choose another release")
