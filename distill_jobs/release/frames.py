"""The unlabelled frames that teacher and student must agree on: those that workers decode.

The natural folder is a harvest, or a camera's: frames come and go while models are asked for hours.
So it is looked at once, and copied.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from distill_jobs.data.dataset import IMAGE_SUFFIXES
from distill_jobs.data.faults import Fault, write_faults
from distill_jobs.data.taught import Taught
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.progress import Reporter
from handlers.images import BadFrame, decode

REPORT_NAME = "frame_faults.json"
COPIES = "frames"  # in a work folder, while a release looks at them
_SHOWN = 3  # in a message; the report lists all


@dataclass(frozen=True)
class Frames:
    """A folder's images as they were when it was looked at.

    Attributes:
        images: Copies of those that decode and that the student was not trained on, by name.
        sha256: Of each copy's bytes, in hex.
        faults: The others, and why.
    """

    images: tuple[Path, ...] = ()
    sha256: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @classmethod
    def copied(cls, folder: Path | None, copies: Path, taught: Taught | None = None) -> "Frames":
        """Look at each image of `gate.frames`, as workers do; none where there is no such folder.

        Args:
            folder: `gate.frames`.
            copies: Gets the images that decode; an empty folder.
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
            whys = tuple(threads.map(lambda file: _copy(file, copies), found))
        faults = tuple(_fault(file, why) for file, why in zip(found, whys, strict=True) if why)
        if len(faults) == len(found):
            raise ReleaseInvalid("gate.frames", f"no image of {folder} decodes: {_listed(faults)}")
        sound = [copies / file.name for file, why in zip(found, whys, strict=True) if not why]
        known = taught.among(sound) if taught is not None else {}
        faults += tuple(_fault(folder / copy.name, why) for copy, why in known.items())
        if len(known) == len(sound):
            raise ReleaseInvalid(
                "gate.frames", f"{folder}: the student is trained on them all: {_listed(faults)}"
            )
        images = tuple(copy for copy in sound if copy not in known)
        return cls(images, tuple(_sha256(image) for image in images), faults)

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


def _copy(file: Path, copies: Path) -> str:
    """Copy an image that decodes; returns why it was not, "" where it was."""
    try:
        content = file.read_bytes()
        decode(content)
    except FileNotFoundError:
        return "was removed while the folder was looked at"
    except BadFrame as bad:
        return bad.message
    (copies / file.name).write_bytes(content)
    return ""


def _fault(file: Path, why: str) -> Fault:
    return Fault(file, "frames", why, file)


def _sha256(image: Path) -> str:
    return hashlib.sha256(image.read_bytes()).hexdigest()


def _listed(faults: Sequence[Fault]) -> str:
    return "; ".join(f"{fault.file.name}: {fault.why}" for fault in faults[:_SHOWN])
