"""What a release is made of, and what came of it."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from distill_jobs.data.dataset import Sample
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.recipe.compression import FineTuning
from distill_jobs.recipe.release import Gate, Licences
from distill_jobs.recipe.thresholds import Thresholds
from distill_jobs.release.bootstrap import Bounded
from distill_jobs.release.checks import Check
from distill_jobs.release.evaluate import Quality
from distill_jobs.release.standard import Standard
from distill_jobs.release.thresholds import ClassThreshold
from proto.wire.v1 import card_pb2

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
VERSION_PATTERN = re.compile(r"[0-9]+(\.[0-9]+){0,2}")
EXPORTS = (
    "onnxruntime-fp32",
    "onnxruntime-fp16",
    "onnxruntime-int8",
    "onnxruntime-int8dynamic",
    "torchscript-fp32",
)
DEFAULT_EXPORTS = ("onnxruntime-fp32", "onnxruntime-int8", "torchscript-fp32")


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
        image_size: Side of the square input, pixels.
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


@dataclass(frozen=True)
class Latency:
    """How long the model's run takes on one letterboxed image.

    Attributes:
        p50_ms: Median.
        p99_ms: 99th percentile.
        runs: How many were timed.
        threads: How many the runtime had.
    """

    p50_ms: float
    p99_ms: float
    runs: int
    threads: int


@dataclass(frozen=True)
class VariantResult:
    """A runtime and precision that passed.

    Attributes:
        name: "RUNTIME-PRECISION".
        file: Its weights in the archive.
        file_bytes: Their size.
        quality: None where there are no labels.
        latency: Of one image.
        matched_f1: Detections matched with PyTorch's, crossings of the threshold forgiven.
        strict_f1: The same, not forgiven.
        f1: `matched_f1` and its bounds.
        drop_map50_95: What a reduced precision loses, and its bounds; None for FP32.
    """

    name: str
    file: str
    file_bytes: int
    quality: Quality | None
    latency: Latency
    matched_f1: float
    strict_f1: float
    f1: Bounded | None = None
    drop_map50_95: Bounded | None = None


@dataclass(frozen=True)
class ReleaseResult:
    """A release that stands in the model store.

    Attributes:
        archive: NAME-VERSION.mar.
        signature: Beside it.
        card: As in the archive.
        quality: Of the checkpoint itself, in PyTorch; None: unmeasured.
        variants: Fastest first; the first is the default.
        left_out: Why a variant that was asked for is not in the card, by name.
        file_bytes: Of the archive.
        parameters: Of the checkpoint.
        sha256: Of the archive.
        checks: What the gate held against its limits.
        thresholds: Why each class's operating threshold is what it is.
    """

    archive: Path
    signature: Path
    card: card_pb2.Card
    quality: Quality | None
    variants: tuple[VariantResult, ...]
    left_out: dict[str, str]
    file_bytes: int
    parameters: int
    sha256: str
    checks: tuple[Check, ...] = ()
    thresholds: tuple[ClassThreshold, ...] = ()

    @property
    def latency_ms(self) -> dict[str, Latency]:
        """Latency by variant name."""
        return {variant.name: variant.latency for variant in self.variants}


def _refuse_seen(field_name: str, seen: set[Path], what: str) -> None:
    if seen:
        raise ReleaseInvalid(
            field_name,
            f"{len(seen)} of its images are held-out ones too ({min(seen)}...): {what} would be "
            "judged on what it was fitted to. Give another split",
        )
