"""What every variant of a release is checked with: the checkpoint, its answers, its thresholds."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distill_jobs import checkpoints
from distill_jobs.data.dataset import Sample
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.progress import Reporter
from distill_jobs.release import assess, card, making, standard
from distill_jobs.release.answers import ask
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.parity import Answers
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.runtimes import TorchRuntime
from distill_jobs.release.standard import Standard
from distill_jobs.release.stored import write_detections
from distill_jobs.release.thresholds import ClassThreshold
from handlers.card import Card
from handlers.pipeline import Detections
from proto.wire.v1 import card_pb2


@dataclass(frozen=True)
class Workbench:
    """A release under way.

    Attributes:
        request: What was asked for.
        module: The checkpoint, dense.
        parameters: Of the checkpoint, before its batch norms were folded away.
        drafted: The card before the measurements, its operating thresholds chosen.
        card: The same as the handlers read it.
        stage: Folder the weights go to.
        images: What the models are asked about.
        reference: PyTorch's answers on the images that the gate judges by.
        frames: PyTorch's answers on the unlabelled frames.
        chosen: Why each class's operating threshold is what it is.
        maker: Makes the variants' files.
        reporter: Told of progress.
    """

    request: ReleaseRequest
    module: DenseDetector
    parameters: int
    drafted: card_pb2.Card
    card: Card
    stage: Path
    images: standard.Images
    reference: Answers
    frames: tuple[Detections, ...]
    chosen: tuple[ClassThreshold, ...]
    maker: making.Maker
    reporter: Reporter

    @property
    def thresholds(self) -> npt.NDArray[np.float32]:
        """Operating thresholds, float32 [C]."""
        return np.array(self.card.post_processing.operating_thresholds, np.float32)


def prepare(request: ReleaseRequest, reporter: Reporter) -> Workbench:
    """Load the checkpoint, ask it about every image, and choose its operating thresholds.

    Its answers stay in the work folder: a student is held against them without asking again.

    Raises:
        ReleaseInvalid: The data set's classes are not the checkpoint's.
        CheckpointRefused: The checkpoint is no detector.
        UnsupportedModel: Its head cannot be exported.
        DataSetInvalid: An image or a label does not fit.
    """
    model = checkpoints.load_detector(request.checkpoint)
    module = DenseDetector(model, request.image_size)
    parameters = checkpoints.parameter_count(model)
    names = checkpoints.class_names(model)
    _check_names(request.class_names or names, names)
    drafted = card.draft(request, names)
    stage = stage_of(request.work_dir, request.key)
    shutil.rmtree(stage, ignore_errors=True)  # of an earlier try: its files are not this release's
    stage.mkdir(parents=True)
    images = assess.images_of(request)
    runtime = TorchRuntime(module)
    asker = _Asker(request.key, card.as_handlers_read(drafted), runtime, reporter)
    reference = asker.ask(standard.HELD_OUT, images.held_out, request.samples)
    validation = asker.ask(standard.VALIDATION, images.validation)
    frames = asker.ask(standard.FRAMES, images.frames)
    keep_answers(request, (reference, validation, frames))
    chosen = assess.choose_thresholds(request, names, validation.detections)
    drafted = card.with_thresholds(drafted, chosen)
    read = card.as_handlers_read(drafted)
    return Workbench(
        request=request,
        module=module,
        parameters=parameters,
        drafted=drafted,
        card=read,
        stage=stage,
        images=images,
        reference=reference,
        frames=frames.detections,
        chosen=chosen,
        maker=making.Maker(request, module, read, reporter),
        reporter=reporter,
    )


def stage_of(work_dir: Path, key: str) -> Path:
    """Return where a release's archive is laid out before it is packed."""
    return work_dir / f"stage-{key}"


def ask_checkpoint(checkpoint: Path, request: ReleaseRequest, reporter: Reporter) -> Standard:
    """Ask a checkpoint that no release was made of about a request's images.

    Args:
        checkpoint: The teacher's.
        request: Of its student.
        reporter: Told of progress.

    Returns:
        Its answers, at the default thresholds.

    Raises:
        CheckpointRefused: It is no detector.
        ReleaseInvalid: Its classes are not the student's.
        DataSetInvalid: An image does not decode.
    """
    model = checkpoints.load_detector(checkpoint)
    names = checkpoints.class_names(model)
    student = checkpoints.class_names(checkpoints.load_detector(request.checkpoint))
    if names != student:
        raise ReleaseInvalid(
            "teacher",
            f"{checkpoint} knows the classes {', '.join(names)}, the student {', '.join(student)}: "
            "their answers do not compare",
        )
    read = card.as_handlers_read(card.draft(request, names))
    runtime = TorchRuntime(DenseDetector(model, request.image_size))
    asker = _Asker(checkpoint.stem, read, runtime, reporter)
    images = assess.images_of(request)
    return Standard(
        name=checkpoint.stem,
        class_names=names,
        thresholds=read.post_processing.operating_thresholds,
        held_out=asker.ask(standard.HELD_OUT, images.held_out).detections,
        validation=asker.ask(standard.VALIDATION, images.validation).detections,
        frames=asker.ask(standard.FRAMES, images.frames).detections,
    )


def keep_answers(request: ReleaseRequest, answers: Sequence[Answers]) -> None:
    """Keep what a model answered, in files of its work folder.

    Args:
        request: Of the model.
        answers: On the held-out images, the validation images and the frames; fewer is fine.
    """
    images = assess.images_of(request)
    of_file = (
        (standard.HELD_OUT, images.held_out),
        (standard.VALIDATION, images.validation),
        (standard.FRAMES, images.frames),
    )
    for (file, files), one in zip(of_file, answers, strict=False):
        if files:
            write_detections(request.work_dir / file, files, one.detections)


@dataclass(frozen=True)
class _Asker:
    name: str
    card: Card
    runtime: TorchRuntime
    reporter: Reporter

    def ask(self, file: str, images: Sequence[Path], samples: Sequence[Sample] = ()) -> Answers:
        if not images:
            return Answers((), None)
        self.reporter.stage(f"{self.name}: {Path(file).stem} answers", len(images))
        return ask(self.card, self.runtime, images, samples, on_image=self.reporter.advance)


def _check_names(given: tuple[str, ...], own: tuple[str, ...]) -> None:
    """Refuse labels of other classes: every figure and every label served would be wrong."""
    if len(given) != len(own):
        raise ReleaseInvalid("class_names", f"{len(given)} names for a head of {len(own)} classes")
    for class_id, (name, own_name) in enumerate(zip(given, own, strict=True)):
        if name != own_name:
            raise ReleaseInvalid(
                "class_names",
                f"class {class_id} is {name!r} in the data set and {own_name!r} in the checkpoint: "
                "number the data set's classes as the checkpoint does",
            )
