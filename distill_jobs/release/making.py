"""How each kind of file in a release is made, and what it needs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from distill_jobs import checkpoints
from distill_jobs.data.spread import spread
from distill_jobs.progress import Reporter
from distill_jobs.release import export, half, quantize, quantize_dynamic
from distill_jobs.release.answers import tensor_of
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.fake_quantized import FakeQuantized
from distill_jobs.release.fine_tune import Lesson, fine_tune
from distill_jobs.release.request import Int8Tuning, ReleaseRequest
from handlers.card import Card

# Static INT8: fitted to calibration images.
_INT8_SCHEMES = {
    "onnxruntime-int8": quantize.FOR_ONNX_RUNTIME,
    "openvino-int8": quantize.FOR_OPENVINO,
    "openvino-int8bf16": quantize.FOR_OPENVINO,
}


def needs_calibration(name: str) -> bool:
    """Whether a variant is fitted to calibration images."""
    return name in _INT8_SCHEMES


@dataclass(frozen=True)
class Attempt:
    """One way of making a variant.

    Attributes:
        label: What is different about it: "2 float layers".
        write: Writes the file it is given.
    """

    label: str
    write: Callable[[Path], object]


class Maker:
    """Makes the files of one release.

    Args:
        request: What was asked for.
        module: The checkpoint, dense.
        card: How images are fitted to the input.
        reporter: Told of progress.
    """

    def __init__(
        self, request: ReleaseRequest, module: DenseDetector, card: Card, reporter: Reporter
    ) -> None:
        self._request = request
        self._module = module
        self._card = card
        self._reporter = reporter

    def attempts(self, name: str) -> Iterator[Attempt]:
        """Yield the ways of making a variant, the fastest file first."""
        scheme = _INT8_SCHEMES.get(name)
        if scheme is not None:
            yield from self._int8_attempts(scheme)
            return
        writers: dict[str, Callable[[Path], object]] = {
            "onnxruntime-fp32": partial(export.export_onnx, self._module),
            "onnxruntime-fp16": self._write_fp16,
            "onnxruntime-int8dynamic": self._write_dynamic,
            "openvino-fp32": partial(export.export_onnx, self._module),
            "openvino-bf16": partial(export.export_onnx, self._module),
            "torchscript-fp32": partial(export.export_torchscript, self._module),
        }
        yield Attempt("", writers[name])

    def _int8_attempts(self, scheme: quantize.Scheme) -> Iterator[Attempt]:
        for layers in quantize.FLOAT_STEMS:
            yield Attempt(f"{layers} float layers", partial(self._write_int8, scheme, layers))
        tuning = self._request.int8_tuning
        if tuning is not None:
            yield Attempt("fine-tuning", partial(self._write_tuned, scheme, tuning))

    def _write_int8(self, scheme: quantize.Scheme, stem_layers: int, file: Path) -> None:
        images = spread(self._request.calibration, quantize.MAX_CALIBRATION_IMAGES)
        self._reporter.stage(f"{self._request.key}: calibrating INT8", len(images))
        quantize.quantize_int8(
            self._float_file(),
            file,
            calibration=(self._tensor(image) for image in images),
            head_index=self._module.head_index,
            scheme=scheme,
            stem_layers=stem_layers,
            on_image=self._reporter.advance,
        )

    def _write_tuned(self, scheme: quantize.Scheme, tuning: Int8Tuning, file: Path) -> None:
        start = self._request.work_dir / f"{self._request.key}-calibrated.onnx"
        self._write_int8(scheme, tuning.settings.float_layers, start)
        student = FakeQuantized(start, self._float_file())
        lesson = Lesson(
            files=tuning.images,
            load=self._tensor,
            models=self._whom_to_follow(tuning),
            settings=tuning.settings,
            seed=self._request.lineage.seed,
        )
        steps = tuning.settings.epochs * lesson.batches
        self._reporter.stage(f"{self._request.key}: fine-tuning INT8", steps)
        losses = fine_tune(student, lesson, on_batch=self._reporter.advance)
        listed = ", ".join(f"{loss:.4g}" for loss in losses)
        self._reporter.note(f"{self._request.key}: INT8 fine-tuning, loss by epoch: {listed}")
        student.write(file)

    def _whom_to_follow(self, tuning: Int8Tuning) -> list[tuple[float, DenseDetector]]:
        """Return the float student and, where its head can be compared, the teacher."""
        share = tuning.settings.teacher
        teacher = self._teacher(tuning.teacher) if tuning.teacher and share else None
        if teacher is None:
            return [(1.0, self._module)]
        return [(share, teacher), *([(1.0 - share, self._module)] if share < 1 else [])]

    def _teacher(self, checkpoint: Path) -> DenseDetector | None:
        model = checkpoints.load_detector(checkpoint)
        own = checkpoints.class_names(checkpoints.load_detector(self._request.checkpoint))
        if checkpoints.class_names(model) != own:
            return None
        teacher = DenseDetector(model, self._module.image_size)
        blank = torch.zeros(1, 3, teacher.image_size, teacher.image_size)
        with torch.no_grad():
            alike = teacher(blank).shape == self._module(blank).shape
        return teacher if alike else None

    def _write_fp16(self, file: Path) -> None:
        half.convert_to_fp16(self._float_file(), file, head_index=self._module.head_index)

    def _write_dynamic(self, file: Path) -> None:
        quantize_dynamic.quantize_dynamic_int8(self._float_file(), file)

    def _float_file(self) -> Path:
        file = self._request.work_dir / f"{self._request.key}.onnx"
        return export.export_onnx(self._module, file)

    def _tensor(self, image: Path) -> npt.NDArray[np.float32]:
        return tensor_of(self._card, image)
