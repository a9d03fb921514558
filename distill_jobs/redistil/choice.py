"""Which harvested frames are worth training on: none that measures, none twice, not too many."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from distill_jobs.data.duplicates import Shown, near_pairs
from distill_jobs.data.picture import PictureRefused, look_at
from distill_jobs.data.piece import Piece
from distill_jobs.data.unlabelled import UNLABELLED
from distill_jobs.redistil.harvest import HarvestFrame
from distill_jobs.redistil.memory import Memory

_MEASURED = frozenset({"val", "test"})
_TAUGHT = "almost a picture that is trained on"


@dataclass(frozen=True)
class Choice:
    """What of a harvest is taken.

    Attributes:
        taken: The frames, in the order in which they were chosen.
        left_out: How many were not, by the reason.
        old: Names of those taken that an earlier attempt had already.
    """

    taken: tuple[HarvestFrame, ...]
    left_out: dict[str, int]
    old: frozenset[str] = frozenset()

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
        max_unlabelled_share: The job's `data.max_unlabelled_share`: above it the run would draw
            lots among unlabelled images, those of before included.
    """

    max_share: float = 0.3
    near_bits: int = 4
    max_unlabelled_share: float = 0.99

    def most(self, labelled: int, unlabelled: int = 0) -> tuple[int, str]:
        """Return how many frames fit in beside so many others, and which limit says so."""
        fit_in = _part(self.max_share, labelled + unlabelled)
        room = max(0, _part(self.max_unlabelled_share, labelled) - unlabelled)
        if room < fit_in:
            return room, f"above data.max_unlabelled_share ({self.max_unlabelled_share:.0%})"
        return fit_in, f"above the share of {self.max_share:.0%}"


def _part(share: float, others: int) -> int:
    return int(share * others / (1 - share) + 1e-9)


def choose(
    frames: Sequence[HarvestFrame],
    base: Sequence[Piece],
    limits: Limits,
    memory: Memory | None = None,
    held_out_cameras: Collection[str] = (),
) -> Choice:
    """Choose frames, those first on which the arms disagreed most, each camera in its turn.

    Left out is what a person rejected in any review, and what almost shows the same; what a camera
    saw that is held out; what does not decode; what shows the same as an image of the data set or
    as a frame already chosen, exactly or almost; and what no longer fits in. A frame that almost
    repeats a validation or test image would make the student look better than it is; one that
    almost repeats a training image teaches nothing new.

    Args:
        frames: Of the harvest.
        base: The data set that they are added to, all splits.
        limits: How much.
        memory: Of earlier attempts.
        held_out_cameras: Cameras that the data set validates or tests on.
    """
    left_out: Counter[str] = Counter()
    unlabelled = sum(piece.split == UNLABELLED for piece in base)
    most, limit = limits.most(sum(piece.split == "train" for piece in base), unlabelled)
    known = _Known(base, limits.near_bits, memory)
    taken: list[HarvestFrame] = []
    for frame in in_turn(frames):
        if frame.camera in held_out_cameras:
            reason = "of a camera that is held out"
        else:
            reason = limit if len(taken) == most else known.reason_against(frame)
        if reason:
            left_out[reason] += 1
        else:
            taken.append(frame)
    return Choice(tuple(taken), dict(left_out), frozenset(known.old))


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

    def __init__(self, base: Sequence[Piece], near_bits: int, memory: Memory | None) -> None:
        self.old: set[str] = set()
        self._near_bits = near_bits
        self._memory = memory
        self._exact = {piece.picture.pixels_sha256: piece.split for piece in base}
        self._alike = {
            "almost a frame that was rejected": memory.rejected() if memory else [],
            "almost a picture of val or test": [
                piece.shown for piece in base if piece.split in _MEASURED
            ],
            _TAUGHT: [piece.shown for piece in base if piece.split not in _MEASURED],
        }

    def reason_against(self, frame: HarvestFrame) -> str:
        """Say why a frame is not taken; otherwise remember it and return ""."""
        try:
            picture = look_at(frame.image)
        except PictureRefused:
            return "not an image that decodes"
        digest = picture.pixels_sha256
        if self._memory is not None and self._memory.is_rejected(digest):
            return "rejected in a review"
        if digest in self._exact:
            return f"the same picture as one in {self._exact[digest]}"
        shown = Shown(frame.image, "harvest", digest, picture.look)
        for reason, others in self._alike.items():
            if near_pairs([shown], others, self._near_bits).count:
                return reason
        self._exact[digest] = "the harvest"
        self._alike[_TAUGHT].append(shown)
        if self._memory is not None and digest in self._memory:
            self.old.add(frame.name)
        return ""
