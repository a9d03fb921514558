"""What earlier attempts knew of harvested frames: a rejected one is never taken again."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from distill_jobs.data.duplicates import Shown
from distill_jobs.data.picture import look_at
from distill_jobs.errors import JobError
from distill_jobs.files import write_json
from distill_jobs.redistil.harvest import HarvestFrame
from distill_jobs.redistil.review import Verdicts


@dataclass(frozen=True)
class Remembered:
    """A frame that an earlier attempt had; its picture is not kept.

    Attributes:
        look: 64-bit perceptual hash.
        verdict: "accept", "reject" or "".
        labels: The label file that a person accepted; "" otherwise.
        class_names: Of those labels; index = class id.
    """

    look: int
    verdict: str
    labels: str = ""
    class_names: tuple[str, ...] = ()


class Memory:
    """The frames of all attempts under a root, by the SHA-256 of their pixels.

    Args:
        root: Keeps the attempts; `frames.json` in it is the memory.

    Raises:
        JobError: The file is damaged.
    """

    def __init__(self, root: Path) -> None:
        self._file = root / "frames.json"
        try:
            content = json.loads(self._file.read_bytes()) if self._file.exists() else {}
            self._frames = {
                digest: Remembered(**{**one, "class_names": tuple(one["class_names"])})
                for digest, one in content.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise JobError(
                f"{self._file} is damaged: it says which frames were rejected. Restore it, or "
                "remove it to begin without that memory"
            ) from error

    def __contains__(self, pixels_sha256: str) -> bool:
        return pixels_sha256 in self._frames

    def is_rejected(self, pixels_sha256: str) -> bool:
        """Return whether a person turned the very same picture down."""
        known = self._frames.get(pixels_sha256)
        return known is not None and known.verdict == "reject"

    def rejected(self) -> list[Shown]:
        """Return what was turned down, as far as duplicates matter."""
        return [
            Shown(self._file, "rejected", digest, one.look)
            for digest, one in self._frames.items()
            if one.verdict == "reject"
        ]

    def restore_labels(self, frames: Iterable[HarvestFrame]) -> frozenset[str]:
        """Give kept frames the labels that a person accepted earlier; returns those frames' names.

        A frame whose data set numbers its classes otherwise today is left to a new verdict.
        """
        accepted = set()
        for frame in frames:
            known = self._frames.get(look_at(frame.image).pixels_sha256)
            if known and known.verdict == "accept" and known.class_names == frame.class_names:
                frame.labels.write_text(known.labels, encoding="utf-8")
                accepted.add(frame.name)
        return frozenset(accepted)

    def remember(self, frames: Iterable[HarvestFrame], verdicts: Verdicts) -> None:
        """Keep what was said of frames; written at once."""
        said: Mapping[str, Remembered] = {
            picture.pixels_sha256: _remembered(frame, picture.look, verdicts)
            for frame in frames
            for picture in [look_at(frame.image)]
        }
        self._frames = {**self._frames, **said}
        write_json(self._file, {digest: asdict(one) for digest, one in self._frames.items()})


def _remembered(frame: HarvestFrame, look: int, verdicts: Verdicts) -> Remembered:
    if frame.name in verdicts.rejected:
        return Remembered(look, "reject")
    if frame.name in verdicts.accepted:
        labels = frame.labels.read_text(encoding="utf-8")
        return Remembered(look, "accept", labels, frame.class_names)
    return Remembered(look, "")
