"""INT8 after training by a release's stems and settings; the inner part chooses among them.

A release asks more of INT8 (`release/checking.py`): its answers must match PyTorch's as well (F1),
where no way passes it takes the one that matches best, and what its gate refuses is left out of
the card. Here the loss of mAP50-95 alone chooses, and the arm is measured whatever it lost.
"""

from dataclasses import dataclass
from pathlib import Path

from bench.distill.folds import Fold
from distill_jobs.data.spread import spread
from distill_jobs.recipe.release import Gate
from distill_jobs.release.answers import ask, tensor_of
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.export import INPUT_NAME, OUTPUT_NAME, export_onnx
from distill_jobs.release.quantize import FLOAT_STEMS, MAX_CALIBRATION_IMAGES, quantize_int8
from handlers.card import Card
from handlers.onnx_runtime import OnnxRuntime
from handlers.runtimes import Runtime


@dataclass(frozen=True)
class Quantized:
    """A model in both precisions.

    Attributes:
        floating: Its FP32 ONNX file.
        int8: Its INT8 ONNX file.
        stem_layers: How many of the first layers stayed float.
        inner_drops: What each stem that was tried lost on the inner part, mAP50-95, 0 to 1.
    """

    floating: Path
    int8: Path
    stem_layers: int
    inner_drops: dict[int, float]


def quantized(module: DenseDetector, card: Card, fold: Fold, here: Path) -> Quantized:
    """Quantize a model; the fewest float layers that lose no more than the gate allows are taken.

    A release tries the same stems in the same order. The inner part chooses, the train part
    calibrates: the held-out part chooses nothing. Where no stem passes, the last one is taken.

    Args:
        module: The model at its image size.
        card: How frames are fitted.
        fold: Whose parts are used.
        here: Gets the files.
    """
    floating = export_onnx(module, here / "model.onnx")
    reference = _inner_map50_95(onnx_runtime(floating, threads=1), card, fold)
    drops: dict[int, float] = {}
    for stem_layers in FLOAT_STEMS:
        int8 = int8_file(module, card, fold, floating, stem_layers)
        found = _inner_map50_95(onnx_runtime(int8, threads=1), card, fold)
        drops[stem_layers] = round(reference - found, 5)
        if drops[stem_layers] <= Gate().max_int8_drop_map50_95:
            break
    return Quantized(floating, int8, stem_layers, drops)


def int8_file(
    module: DenseDetector, card: Card, fold: Fold, floating: Path, stem_layers: int
) -> Path:
    """Write the INT8 form of an exported model beside it, calibrated on the train part."""
    calibration = (tensor_of(card, one.image) for one in spread(fold.train, MAX_CALIBRATION_IMAGES))
    return quantize_int8(
        floating,
        floating.with_name(f"int8-{stem_layers}.onnx"),
        calibration=calibration,
        head_index=module.head_index,
        stem_layers=stem_layers,
    )


def onnx_runtime(file: Path, *, threads: int) -> OnnxRuntime:
    """Open an exported file as a worker does."""
    return OnnxRuntime(file, tensor_name=INPUT_NAME, output_name=OUTPUT_NAME, threads=threads)


def _inner_map50_95(runtime: Runtime, card: Card, fold: Fold) -> float:
    images = [sample.image for sample in fold.inner]
    quality = ask(card, runtime, images, fold.inner, on_image=lambda _: None).quality
    return 0.0 if quality is None else quality.map50_95
