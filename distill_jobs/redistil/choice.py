"""Which harvested frames are worth training on: none that measures, none twice, not too many."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from distill_jobs.data.duplicates import Shown, near_pairs
from distill_jobs.data.picture import Picture, PictureRefused, look_at
from distill_jobs.data.piece import Piece
from distill_jobs.data.unlabelled import UNLABELLED
from distill_jobs.redistil.harvest import HarvestFrame


@dataclass(frozen=True)
class Choice:
    """What of a harvest is taken.

    Attributes:
        taken: The frames, in the order in which they were chosen.
        left_out: How many were not, by the reason.
    """

    taken: tuple[HarvestFrame, ...]
    left_out: dict[str, int]

    @property
    def looked_at(self) -> int:
        """How many frames there were."""
        return len(self.taken) + sum(self.left_out.values())


@dataclass(frozen=True)
class Limits:
    """How much of a harvest is taken.

    Attributes:
        max_share: Of all images that are trained on, harvested ones included; below 1.
        near_bits: Two pictures whose perceptual hashes differ in at most this many of 64 bits are
            almost the same.
    """

    max_share: float = 0.3
    near_bits: int = 4

    def most(self, train_images: int) -> int:
        """Return how many frames fit in beside so many others."""
        return int(self.max_share * train_images / (1 - self.max_share) + 1e-9)


def choose(
    frames: Sequence[HarvestFrame],
    base: Sequence[Piece],
    limits: Limits,
    rejected: Collection[str] = (),
) -> Choice:
    """Choose frames, those first on which the arms disagreed most, each camera in its turn.

    Left out is what a person rejected, what does not decode, what shows the same as an image of the
    data set or as a frame already chosen, exactly or almost, and what no longer fits in. A frame
    that almost repeats a validation or test image would make the student look better than it is;
    one that almost repeats a training image teaches nothing new.

    Args:
        frames: Of the harvest.
        base: The data set that they are added to, all splits.
        limits: How much.
        rejected: Names of frames that a person turned down.
    """
    left_out: Counter[str] = Counter()
    train = sum(piece.split in {"train", UNLABELLED} for piece in base)
    most = limits.most(train)
    known = _Known(base, limits.near_bits)
    taken: list[HarvestFrame] = []
    for frame in in_turn(frames):
        if frame.name in rejected:
            left_out["rejected in the review"] += 1
            continue
        if len(taken) == most:
            left_out[f"above the share of {limits.max_share:.0%}"] += 1
            continue
        reason = known.reason_against(frame)
        if reason:
            left_out[reason] += 1
        else:
            taken.append(frame)
    return Choice(tuple(taken), dict(left_out))


def in_turn(frames: Iterable[HarvestFrame]) -> list[HarvestFrame]:
    """Return frames camera by camera in turn, each camera's worst agreement first."""
    by_camera: defaultdict[str, list[HarvestFrame]] = defaultdict(list)
    for frame in sorted(frames, key=lambda one: (one.agreement_f1, one.name)):
        by_camera[frame.camera].append(frame)
    turns = [
        (turn, camera, frame) for camera, own in by_camera.items() for turn, frame in enumerate(own)
    ]
    return [frame for _, _, frame in sorted(turns, key=lambda one: one[:2])]


class _Known:
    """Pictures that are in already: the data set's, and the frames that were chosen."""

    def __init__(self, base: Sequence[Piece], near_bits: int) -> None:
        self._near_bits = near_bits
        self._exact = {piece.picture.pixels_sha256: piece.split for piece in base}
        self._measured = [piece.shown for piece in base if piece.split in {"val", "test"}]
        self._trained_on = [piece.shown for piece in base if piece.split not in {"val", "test"}]

    def reason_against(self, frame: HarvestFrame) -> str:
        """Say why a frame is not taken; otherwise remember it and return ""."""
        try:
            picture = look_at(frame.image)
        except PictureRefused:
            return "not an image that decodes"
        split = self._exact.get(picture.pixels_sha256)
        if split is not None:
            return f"the same picture as one in {split}"
        shown = _shown(frame, picture)
        if near_pairs([shown], self._measured, self._near_bits).count:
            return "almost a picture of val or test"
        if near_pairs([shown], self._trained_on, self._near_bits).count:
            return "almost a picture that is trained on"
        self._exact[picture.pixels_sha256] = "the harvest"
        self._trained_on.append(shown)
        return ""


def _shown(frame: HarvestFrame, picture: Picture) -> Shown:
    return Shown(frame.image, "harvest", picture.pixels_sha256, picture.look)
