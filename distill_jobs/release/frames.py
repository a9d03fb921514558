"""The unlabelled frames that teacher and student must agree on: those that workers decode."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from distill_jobs.data.dataset import IMAGE_SUFFIXES
from distill_jobs.data.faults import Fault, write_faults
from distill_jobs.data.taught import Taught
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.progress import Reporter
from handlers.images import BadFrame, decode

REPORT_NAME = "frame_faults.json"
_SHOWN = 3  # in a message; the report lists all


@dataclass(frozen=True)
class Frames:
    """A folder's images.

    Attributes:
        images: Those that decode and that the student was not trained on, by name.
        faults: The others, and why.
    """

    images: tuple[Path, ...] = ()
    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, folder: Path | None, taught: Taught | None = None) -> "Frames":
        """Look at each image of `gate.frames`, as workers do; none where there is no such folder.

        Args:
            folder: `gate.frames`.
            taught: What the student was trained to answer as its teacher does; left out.

        Raises:
            ReleaseInvalid: The folder is absent, or holds no image that decodes, or none beside
                those that were trained on.
        """
        if folder is None:
            return cls()
        found = sorted(file for file in folder.glob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            wanted = ", ".join(sorted(IMAGE_SUFFIXES))
            raise ReleaseInvalid("gate.frames", f"{folder} holds no image ({wanted})")
        with ThreadPoolExecutor() as threads:
            whys = tuple(threads.map(_fault_of, found))
        faults = tuple(
            Fault(file, "frames", why, file) for file, why in zip(found, whys, strict=True) if why
        )
        if len(faults) == len(found):
            raise ReleaseInvalid("gate.frames", f"no image of {folder} decodes: {_listed(faults)}")
        sound = tuple(file for file, why in zip(found, whys, strict=True) if not why)
        known = taught.among(sound) if taught is not None else {}
        faults += tuple(Fault(file, "frames", why, file) for file, why in known.items())
        if len(known) == len(sound):
            raise ReleaseInvalid(
                "gate.frames", f"{folder}: the student is trained on them all: {_listed(faults)}"
            )
        return cls(tuple(file for file in sound if file not in known), faults)

    def tell(self, work_dir: Path, reporter: Reporter) -> None:
        """Count what was skipped, and list it in `frame_faults.json`; nothing where nothing was."""
        if not self.faults:
            return
        looked_at = len(self.images) + len(self.faults)
        write_faults(work_dir / REPORT_NAME, self.faults, images=looked_at)
        reporter.note(
            f"gate.frames: {len(self.faults)} of {looked_at} images are skipped "
            f"({_listed(self.faults)}); all of them: {work_dir / REPORT_NAME}"
        )


def _fault_of(file: Path) -> str:
    facts = file.stat()
    return _decoded(file, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=100_000)
def _decoded(file: Path, size_bytes: int, changed_ns: int) -> str:
    """Return why an image does not decode, ""; a release asks several times of the same files."""
    del size_bytes, changed_ns  # tell a file from what it was before
    try:
        decode(file.read_bytes())
    except BadFrame as bad:
        return bad.message
    return ""


def _listed(faults: Sequence[Fault]) -> str:
    return "; ".join(f"{fault.file.name}: {fault.why}" for fault in faults[:_SHOWN])
