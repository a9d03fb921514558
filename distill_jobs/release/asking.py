"""A checkpoint asked in PyTorch about a release's images, and what it answered kept."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distill_jobs import checkpoints
from distill_jobs.data.dataset import Sample
from distill_jobs.errors import CheckpointRefused, ReleaseInvalid
from distill_jobs.progress import Reporter
from distill_jobs.release import assess, card, export, standard
from distill_jobs.release.answers import ask
from distill_jobs.release.archive import CARD_NAME
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.evaluate import Quality
from distill_jobs.release.parity import Answers
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.runtimes import TorchRuntime
from distill_jobs.release.standard import Standard
from distill_jobs.release.stored import read_detections, write_detections
from handlers.card import Card
from handlers.errors import HandlerError

_PLAIN_EXPORT = "onnxruntime-fp32"


@dataclass(frozen=True)
class Asker:
    """Asks one checkpoint.

    Attributes:
        checkpoint: Its file.
        card: How frames are fitted and boxes suppressed.
        runtime: The checkpoint.
        reporter: Told of progress.
        kept_in: Folder of answers that it gave before; None: there are none.
    """

    checkpoint: Path
    card: Card
    runtime: TorchRuntime
    reporter: Reporter
    kept_in: Path | None = None

    def ask(self, file: str, images: Sequence[Path], samples: Sequence[Sample] = ()) -> Answers:
        """Ask about images, unless it was asked about just these before.

        Args:
            file: What its answers are kept as.
            images: What to ask about.
            samples: Their labels, one an image; empty: the quality stays unmeasured.

        Raises:
            CheckpointRefused: It answers what no detector may: numbers that are none.
            DataSetInvalid: An image does not decode, or a label does not fit.
        """
        if not images:
            return Answers((), None)
        kept = read_detections(self.kept_in / file, images) if self.kept_in else None
        if kept is not None:
            return Answers(kept, None)
        self.reporter.stage(f"{self.checkpoint.stem}: {Path(file).stem} answers", len(images))
        try:
            return ask(self.card, self.runtime, images, samples, on_image=self.reporter.advance)
        except HandlerError as error:
            raise CheckpointRefused(self.checkpoint, error.message) from error


def ask_checkpoint(
    checkpoint: Path, request: ReleaseRequest, reporter: Reporter, *, stage: Path | None = None
) -> Standard:
    """Make a checkpoint the standard of a release: ask it about the release's images.

    Where it has no release of its own it is exported, so that sizes and times can be compared.

    Args:
        checkpoint: The teacher's.
        request: Of its student.
        reporter: Told of progress.
        stage: Where its own release laid out its archive; answers that lie beside it are not asked
            for again.

    Returns:
        Its answers, at the thresholds of its release, or the default ones.

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
    module = DenseDetector(model, request.image_size)
    released = stage is not None and (stage / CARD_NAME).is_file()
    folder = stage if stage and released else _export(module, names, request)
    read = Card.read(folder)
    kept_in = folder.parent if released else None
    asker = Asker(checkpoint, read, TorchRuntime(module), reporter, kept_in)
    images = assess.images_of(request)
    return Standard(
        name=f"{read.name}-{read.version}" if released else checkpoint.stem,
        class_names=names,
        thresholds=read.post_processing.operating_thresholds,
        held_out=asker.ask(standard.HELD_OUT, images.held_out).detections,
        validation=asker.ask(standard.VALIDATION, images.validation).detections,
        frames=asker.ask(standard.FRAMES, images.frames).detections,
        frames_sha256=images.frames_sha256,
        folder=folder,
    )


def measure_checkpoint(request: ReleaseRequest, reporter: Reporter) -> Quality:
    """Measure a checkpoint that is not released, and keep its answers.

    Args:
        request: With the labelled images.
        reporter: Told of progress.

    Raises:
        CheckpointRefused: It is no detector.
        DataSetInvalid: An image or a label does not fit.
    """
    module = DenseDetector(checkpoints.load_detector(request.checkpoint), request.image_size)
    drafted = card.draft(request, request.class_names or (), stride=module.stride)
    read = card.as_handlers_read(drafted)
    asker = Asker(request.checkpoint, read, TorchRuntime(module), reporter)
    answers = asker.ask(standard.HELD_OUT, request.image_files, request.samples)
    keep_answers(request, (answers,))
    if answers.quality is None:
        raise RuntimeError("labelled samples were asked about and no quality came back")
    return answers.quality


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
        if one.detections:
            write_detections(request.work_dir / file, files, one.detections)


def _export(module: DenseDetector, names: Sequence[str], request: ReleaseRequest) -> Path:
    """Lay out the plain FP32 export of a teacher and a card that names it."""
    folder = request.work_dir / "teacher"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    plain = replace(request, role="teacher", exports=(_PLAIN_EXPORT,))
    drafted = card.draft(plain, names, stride=module.stride)
    export.export_onnx(module, folder / drafted.variants[0].file)
    (folder / CARD_NAME).write_text(card.as_json(drafted), encoding="utf-8")
    return folder
