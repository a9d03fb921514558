"""What a release is made of."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from distill_jobs.data.dataset import Sample
from distill_jobs.data.taught import Taught
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.recipe.compression import FineTuning
from distill_jobs.recipe.release import DEFAULT_EXPORTS, Export, Gate, Licences
from distill_jobs.recipe.thresholds import Thresholds
from distill_jobs.release.frames import Frames
from distill_jobs.release.standard import Standard

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
VERSION_PATTERN = re.compile(r"[0-9]+(\.[0-9]+){0,2}")
EXPORTS = get_args(Export)


@dataclass(frozen=True)
class Lineage:
    """Where a checkpoint comes from; "" where there is nothing to say.

    Attributes:
        teacher: NAME-VERSION or file name of the teacher.
        teacher_sha256: Of the teacher's checkpoint.
        data_lock_sha256: Of the run's `data.lock`.
        job: The job's name.
        job_sha256: Of the job file.
        seed: Of the training.
    """

    teacher: str = ""
    teacher_sha256: str = ""
    data_lock_sha256: str = ""
    job: str = ""
    job_sha256: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Int8Tuning:
    """What INT8 is fine-tuned with.

    Attributes:
        settings: Of the job file.
        images: Of the training split.
        teacher: Its checkpoint; None lets the student follow its own float answers alone.
    """

    settings: FineTuning
    images: tuple[Path, ...]
    teacher: Path | None = None


@dataclass(frozen=True)
class ReleaseRequest:
    """One archive to build.

    Attributes:
        checkpoint: An ultralytics detection checkpoint, `.pt`.
        name: Of the archive and the model.
        version: "1", "1.0" or "1.0.0".
        role: Which part it plays.
        image_size: Longest side of the input, pixels.
        model_store: Folder that gets NAME-VERSION.mar and its signature.
        signing_key: Private EC key, PEM.
        work_dir: Folder for exports and the stage; kept, so that a refusal can be looked into.
        licences: Of code, weights and data.
        exports: Which variants to try, of `EXPORTS`.
        class_names: Index = class id; None takes the checkpoint's.
        samples: Labelled held-out images; none leaves the quality unmeasured.
        images: Unlabelled images to check the exports on and to take golden frames from where there
            are no samples.
        calibration: Images whose value ranges INT8 is fitted to; never held-out ones.
        choosing: Labelled images on which the ways of making INT8 are compared; neither held out
            nor calibrated with. Without them the first way is taken.
        data: Name of the data set, for the card.
        split: Its split that `samples` are of, for the card.
        gate: What must be reached.
        validation: Labelled images that operating thresholds are chosen on; never held-out ones.
        thresholds: How they are chosen.
        teacher: Its answers on the same images: the student is held against them.
        lineage: Where the checkpoint comes from.
        threads: Of each runtime while measuring latency.
        int8_tuning: How INT8 is fine-tuned where calibrating does not pass; None: it is left out.
        keep_unmeasured: Whether to write what this machine cannot measure beside the release.
        rectangular: Whether a frame is fitted into a rectangle of whole strides, and not into the
            square.
        taught: What it was trained on; left out of `gate.frames`.
        frames: What `gate.frames` holds; None: nobody looked yet, see `looking`.
        publish: Whether its archive goes into the model store at once; else `publish_staged` puts
            it there later.
    """

    checkpoint: Path
    name: str
    version: str
    role: Literal["teacher", "student"]
    image_size: int
    model_store: Path
    signing_key: Path
    work_dir: Path
    licences: Licences
    exports: tuple[str, ...] = DEFAULT_EXPORTS
    class_names: tuple[str, ...] | None = None
    samples: tuple[Sample, ...] = ()
    images: tuple[Path, ...] = ()
    calibration: tuple[Path, ...] = ()
    choosing: tuple[Sample, ...] = ()
    data: str = ""
    split: str = ""
    gate: Gate = field(default_factory=Gate)
    validation: tuple[Sample, ...] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)
    teacher: Standard | None = None
    lineage: Lineage = field(default_factory=Lineage)
    threads: int = 1
    int8_tuning: Int8Tuning | None = None
    keep_unmeasured: bool = False
    rectangular: bool = True
    taught: Taught = field(default_factory=Taught)
    frames: Frames | None = None
    publish: bool = True

    def __post_init__(self) -> None:
        """Check what can be checked without opening a file."""
        if not NAME_PATTERN.fullmatch(self.name):
            raise ReleaseInvalid(
                "name",
                f"{self.name!r} must be 1 to 63 of a-z, 0-9, '.', '_', '-', "
                "beginning with a letter or digit",
            )
        if not VERSION_PATTERN.fullmatch(self.version):
            raise ReleaseInvalid(
                "version", f"{self.version!r} must be one to three numbers: 1, 1.0 or 1.0.0"
            )
        unknown = [name for name in self.exports if name not in EXPORTS]
        if unknown or not self.exports:
            raise ReleaseInvalid(
                "exports", f"{unknown or 'none'} given; choose from {', '.join(EXPORTS)}"
            )
        if not self.samples and not self.images:
            raise ReleaseInvalid(
                "images",
                "no image to check the exports on: give a data set, or a folder of images "
                "(the quality then stays unmeasured)",
            )

        held_out = {sample.image for sample in self.samples}
        _refuse_seen("calibration", held_out & set(self.calibration), "INT8")
        choosing = {sample.image for sample in self.choosing}
        _refuse_seen("choosing", held_out & choosing, "INT8")
        validation = {sample.image for sample in self.validation}
        _refuse_seen("validation", held_out & validation, "the operating thresholds")

    @property
    def key(self) -> str:
        """NAME-VERSION."""
        return f"{self.name}-{self.version}"

    @property
    def image_files(self) -> tuple[Path, ...]:
        """What the exports are checked on: the samples' images, else the unlabelled ones."""
        return tuple(sample.image for sample in self.samples) or self.images


def _refuse_seen(field_name: str, seen: set[Path], what: str) -> None:
    if seen:
        raise ReleaseInvalid(
            field_name,
            f"{len(seen)} of its images are held-out ones too ({min(seen)}...): {what} would be "
            "judged on what it was fitted to. Give another split",
        )
