"""Images whose objects nobody wrote down: only a teacher explains them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distill_jobs.data.dataset import images_in
from distill_jobs.data.duplicates import Shown, near_pairs
from distill_jobs.data.piece import Find, Piece
from distill_jobs.errors import DataSetInvalid

UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class LeftOut:
    """A sound image that is not used.

    Attributes:
        find: The image.
        why: What speaks against it.
    """

    find: Find
    why: str


def find_unlabelled(places: Sequence[Path]) -> list[Find]:
    """Find the images of folders and lists, each once, sorted by path.

    Raises:
        DataSetInvalid: A place is neither a folder nor a list, or holds no image.
    """
    images: set[Path] = set()
    for place in places:
        try:
            found = images_in(place)
        except NotADirectoryError as error:
            raise DataSetInvalid(place, f"data.unlabelled: {error}") from error
        if not found:
            raise DataSetInvalid(place, "data.unlabelled: holds no image")
        images.update(found)
    return [Find(image, None, UNLABELLED) for image in sorted(images)]


def without_repeats(
    pieces: Sequence[Piece], labelled: Sequence[Piece]
) -> tuple[list[Piece], list[LeftOut]]:
    """Leave out what shows the very picture of a labelled image, or of one before it.

    A picture of the held-out split must not be trained on, labels or not; one of the train split is
    explained by its labels already.
    """
    seen = {piece.picture.pixels_sha256: piece for piece in reversed(labelled)}
    kept, left_out = [], []
    for piece in pieces:
        earlier = seen.setdefault(piece.picture.pixels_sha256, piece)
        if earlier is piece:
            kept.append(piece)
        else:
            why = f"is the same picture as {earlier.image} ({earlier.split})"
            left_out.append(LeftOut(piece.find, why))
    return kept, left_out


def without_near(
    pieces: Sequence[Piece], measured: Sequence[Shown], max_bits: int
) -> tuple[list[Piece], list[LeftOut]]:
    """Leave out what is almost the picture of an image that quality is measured on."""
    kept, left_out = [], []
    for piece in pieces:
        twins = near_pairs([piece.shown], measured, max_bits).closest
        if not twins:
            kept.append(piece)
            continue
        twin = twins[0].other
        left_out.append(
            LeftOut(piece.find, f"is almost the picture of {twin.image} ({twin.split})")
        )
    return kept, left_out


def capped(
    pieces: Sequence[Piece], labelled: int, max_share: float
) -> tuple[list[Piece], list[LeftOut]]:
    """Keep at most a share of all that is trained on, drawn by the pictures' digests.

    Args:
        pieces: Unlabelled images.
        labelled: How many labelled images are trained on.
        max_share: Of both together, below 1.
    """
    most = int(max_share * labelled / (1 - max_share) + 1e-9)
    if len(pieces) <= most:
        return list(pieces), []
    drawn = sorted(pieces, key=_draw)[:most]
    chosen = {piece.image for piece in drawn}
    why = f"is above data.max_unlabelled_share: {most} of {len(pieces)} images fit in"
    return (
        [piece for piece in pieces if piece.image in chosen],
        [LeftOut(piece.find, why) for piece in pieces if piece.image not in chosen],
    )


def _draw(piece: Piece) -> str:
    return hashlib.sha256(piece.picture.pixels_sha256.encode()).hexdigest()
