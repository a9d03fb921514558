"""What every variant of a release is checked with: the checkpoint, its answers, its thresholds."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from distill_jobs import checkpoints
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.progress import Reporter
from distill_jobs.release import assess, card, making, standard
from distill_jobs.release.asking import Asker, keep_answers
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.parity import Answers
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.runtimes import TorchRuntime
from distill_jobs.release.thresholds import ClassThreshold
from handlers.card import Card
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
    chosen: tuple[ClassThreshold, ...]
    maker: making.Maker
    reporter: Reporter

    @property
    def thresholds(self) -> npt.NDArray[np.float32]:
        """Operating thresholds, float32 [C]."""
        return np.array(self.card.post_processing.operating_thresholds, np.float32)

    def with_thresholds(self, chosen: tuple[ClassThreshold, ...]) -> "Workbench":
        """Return the same release with other operating thresholds."""
        drafted = card.with_thresholds(self.drafted, chosen)
        return replace(self, drafted=drafted, card=card.as_handlers_read(drafted), chosen=chosen)


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
    drafted = card.draft(request, names, stride=module.stride)
    stage = stage_of(request.work_dir, request.key)
    shutil.rmtree(stage, ignore_errors=True)  # of an earlier try: its files are not this release's
    stage.mkdir(parents=True)
    images = assess.images_of(request)
    runtime = TorchRuntime(module)
    asker = Asker(request.checkpoint, card.as_handlers_read(drafted), runtime, reporter)
    reference = asker.ask(standard.HELD_OUT, images.held_out, request.samples)
    validation = asker.ask(standard.VALIDATION, images.validation)
    # A student's frames are its default variant's to answer, once that is known.
    frames = asker.ask(standard.FRAMES, images.frames if request.role == "teacher" else ())
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
        chosen=chosen,
        maker=making.Maker(request, module, read, reporter),
        reporter=reporter,
    )


def stage_of(work_dir: Path, key: str) -> Path:
    """Return where a release's archive is laid out before it is packed."""
    return work_dir / f"stage-{key}"


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
