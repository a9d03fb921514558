"""A model that a student is held against: its teacher, or the one that serves now."""

import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distill_jobs.errors import ReleaseInvalid
from distill_jobs.release import sign
from distill_jobs.release.answers import ask
from distill_jobs.release.archive import CARD_NAME
from handlers.card import Card, CardError
from handlers.errors import HandlerError
from handlers.pipeline import Detections
from handlers.requirements import choose_variant
from handlers.runtimes import load_runtime

# Where a release keeps its own answers, in its work folder.
HELD_OUT, VALIDATION, FRAMES = "held-out.npz", "validation.npz", "frames.npz"


@dataclass(frozen=True)
class Images:
    """The images that a release is asked about.

    Attributes:
        held_out: Those the gate judges by.
        validation: Those the operating thresholds are chosen on.
        frames: Unlabelled ones, for the agreement with the teacher.
        frames_sha256: Of their bytes, in hex.
    """

    held_out: tuple[Path, ...] = ()
    validation: tuple[Path, ...] = ()
    frames: tuple[Path, ...] = ()
    frames_sha256: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standard:
    """Its answers on the same images, scores from 0.001.

    Attributes:
        name: NAME-VERSION, or its checkpoint's.
        class_names: Index = class id.
        thresholds: Its operating thresholds, one a class.
        held_out: One an image.
        validation: One an image; () where it was not asked.
        frames: One an image; () where it was not asked.
        frames_sha256: Which frames these were.
        folder: Where its card and exported files lie; None: not exported.
    """

    name: str
    class_names: tuple[str, ...]
    thresholds: tuple[float, ...]
    held_out: tuple[Detections, ...]
    validation: tuple[Detections, ...] = ()
    frames: tuple[Detections, ...] = ()
    frames_sha256: tuple[str, ...] = ()
    folder: Path | None = None

    @property
    def thresholds_array(self) -> npt.NDArray[np.float32]:
        """Operating thresholds, float32 [C]."""
        return np.array(self.thresholds, np.float32)


def from_archive(
    archive: Path,
    public_key: Path,
    folder: Path,
    images: Images,
    class_names: Sequence[str],
    *,
    on_image: Callable[[int], None],
) -> Standard:
    """Ask the default variant of an archive, with the code of this tree and not the archive's own.

    Args:
        archive: NAME-VERSION.mar, its signature beside it.
        public_key: Whose signature it must bear.
        folder: Gets its card and the variant's file; emptied before.
        images: What to ask about; not the validation split.
        class_names: Of the model it is compared with.
        on_image: Told 1 after each image.

    Returns:
        Its answers.

    Raises:
        ReleaseInvalid: It is absent, no archive, or of other classes.
        SignatureError: It is not what the key's holder signed.
        DataSetInvalid: An image does not decode.
    """
    if not archive.is_file():
        raise ReleaseInvalid("gate.live", f"{archive}: no such archive")
    sign.verify(archive, public_key)
    try:
        card, variant = _unpack(archive, folder)
        _refuse_others(archive, card.class_names, tuple(class_names))
        runtime = load_runtime(card, folder, variant)
        held_out = ask(card, runtime, images.held_out, (), on_image=on_image)
        frames = ask(card, runtime, images.frames, (), on_image=on_image)
    except HandlerError as error:
        raise ReleaseInvalid("gate.live", f"{archive}: cannot be asked: {error}") from error
    return Standard(
        name=f"{card.name}-{card.version}",
        class_names=card.class_names,
        thresholds=card.post_processing.operating_thresholds,
        held_out=held_out.detections,
        frames=frames.detections,
        frames_sha256=images.frames_sha256,
        folder=folder,
    )


def _refuse_others(archive: Path, known: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    if known != wanted:
        raise ReleaseInvalid(
            "gate.live",
            f"{archive} knows the classes {', '.join(known)}, the student {', '.join(wanted)}: "
            "their figures do not compare",
        )


def _unpack(archive: Path, folder: Path) -> tuple[Card, str]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as parts:
            parts.extract(CARD_NAME, folder)
            card = Card.read(folder)
            variant = choose_variant(card, None, None)
            parts.extract(variant.file, folder)
    except (zipfile.BadZipFile, KeyError) as error:
        raise CardError(f"no whole archive: {error}") from error
    return card, variant.name
