"""A finished model on the images that were held out, by the product's one evaluator."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.distill.cells import Figures, Inputs
from bench.distill.folds import Fold
from bench.distill.quantizing import onnx_runtime, quantized
from distill_jobs.checkpoints import load_detector
from distill_jobs.recipe.release import Licences
from distill_jobs.release.answers import ask
from distill_jobs.release.card import as_handlers_read, draft
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.evaluate import match_all, quality_of
from distill_jobs.release.matches import ImageMatches
from distill_jobs.release.request import Lineage, ReleaseRequest
from distill_jobs.release.runtimes import TorchRuntime
from handlers.card import Card
from handlers.runtimes import Runtime

_MATCHES = "matches.npz"


def measure_cell(inputs: Inputs, fold: Fold, checkpoint: Path, here: Path) -> Figures:
    """Score a model on the held-out part.

    Args:
        inputs: `precision`: "fp32" (PyTorch) or "int8" (ONNX, quantized after training).
        fold: Which images.
        checkpoint: The model.
        here: Gets what each image adds to the score.

    Returns:
        The quality, and the sizes of the files.
    """
    side_px = int(inputs["image_side_px"])
    card = card_of(fold, side_px)
    module = DenseDetector(load_detector(checkpoint), side_px)
    runtime: Runtime = TorchRuntime(module)
    figures: Figures = {"checkpoint_bytes": checkpoint.stat().st_size}
    if inputs["precision"] == "int8":
        found = quantized(module, card, fold, here)
        figures |= {
            "fp32_onnx_bytes": found.floating.stat().st_size,
            "int8_onnx_bytes": found.int8.stat().st_size,
            "float_stem_layers": found.stem_layers,
            "inner_drops_map50_95": found.inner_drops,
        }
        runtime = onnx_runtime(found.int8, threads=1)
    images = [sample.image for sample in fold.held_out]
    answers = ask(card, runtime, images, fold.held_out, on_image=lambda _: None)
    matches = match_all(answers.detections, fold.held_out)
    keep_matches(here, matches)
    return {**figures, "quality": asdict(quality_of(matches, fold.class_names))}


def card_of(fold: Fold, side_px: int) -> Card:
    """Return how the handlers fit frames and suppress boxes: as in every release."""
    request = ReleaseRequest(
        checkpoint=Path("model.pt"),
        name="bench",
        version="1.0",
        role="student",
        image_size=side_px,
        model_store=Path(),
        signing_key=Path(),
        work_dir=Path(),
        licences=Licences(data="MIT"),
        exports=("onnxruntime-fp32",),
        class_names=fold.class_names,
        samples=fold.held_out,
        calibration=(),
        data="bccd",
        split="test",
        lineage=Lineage(),
    )
    return as_handlers_read(draft(request, fold.class_names))


def keep_matches(folder: Path, matches: tuple[ImageMatches, ...]) -> None:
    """Keep what a bootstrap resamples."""
    arrays: dict[str, Any] = {}
    for number, one in enumerate(matches):
        arrays |= {
            f"{number}-hits": one.hits,
            f"{number}-scores": one.scores,
            f"{number}-class_ids": one.class_ids.astype(np.int16),
            f"{number}-true_ids": one.true_ids.astype(np.int16),
        }
    np.savez_compressed(folder / _MATCHES, **arrays)


def read_matches(folder: Path) -> tuple[ImageMatches, ...]:
    """Read what `keep_matches` kept: one an image, in the held-out part's order."""
    with np.load(folder / _MATCHES) as kept:
        count = sum(name.endswith("-hits") for name in kept.files)
        return tuple(
            ImageMatches(
                kept[f"{number}-hits"],
                kept[f"{number}-scores"],
                kept[f"{number}-class_ids"].astype(np.int64),
                kept[f"{number}-true_ids"].astype(np.int64),
            )
            for number in range(count)
        )
