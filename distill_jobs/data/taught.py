"""What a student was trained on: nothing of it, and nothing almost like it, may judge it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from distill_jobs.data.dataset import Dataset
from distill_jobs.data.duplicates import Shown, near_pairs
from distill_jobs.data.picture import PictureRefused, look_at


@dataclass(frozen=True)
class Taught:
    """Images that a student was trained on.

    Attributes:
        images: The train split, unlabelled images included.
        near_bits: Two pictures whose perceptual hashes differ in at most this many of 64 bits are
            almost the same.
    """

    images: tuple[Path, ...] = ()
    near_bits: int = 6

    @classmethod
    def of(cls, dataset: Dataset, near_bits: int = 6) -> "Taught":
        """Return what is trained on in a run's own data set."""
        return cls(tuple(one.image for one in dataset.splits.get("train", ())), near_bits)

    def among(self, files: Sequence[Path]) -> dict[Path, str]:
        """Find the images that show what was taught, or almost, and say which; by file.

        Pixels are compared: a working copy gives its images other names.
        """
        if not self.images or not files:
            return {}
        taught, asked = _looked_at(self.images), _looked_at(files)
        by_pixels = {one.pixels_sha256: one.image for one in taught}
        why = {}
        for one in asked:
            if one.pixels_sha256 in by_pixels:
                why[one.image] = f"was trained on, as {by_pixels[one.pixels_sha256].name}"
            elif close := near_pairs([one], taught, self.near_bits).closest:
                why[one.image] = f"is almost {close[0].other.image.name}, which was trained on"
        return why


def _looked_at(files: Sequence[Path]) -> list[Shown]:
    with ThreadPoolExecutor() as threads:
        return [one for one in threads.map(_shown, files) if one is not None]


def _shown(file: Path) -> Shown | None:
    facts = file.stat()
    return _shown_once(file, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=100_000)
def _shown_once(file: Path, size_bytes: int, changed_ns: int) -> Shown | None:
    """Look at an image; None where it does not decode. A release asks several times."""
    del size_bytes, changed_ns  # tell a file from what it was before
    try:
        picture = look_at(file)
    except PictureRefused:
        return None
    return Shown(file, "", picture.pixels_sha256, picture.look)
