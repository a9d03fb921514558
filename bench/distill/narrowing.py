"""The small student: the COCO weights' yolov8n, cut to fewer parameters."""

from pathlib import Path

from bench.distill.cells import Figures, Inputs
from distill_jobs.checkpoints import digest, load_detector, parameter_count
from distill_jobs.recipe.compression import Prune
from distill_jobs.training.prune import prune, save_as_weights


def narrow_cell(inputs: Inputs, weights: Path, here: Path) -> Figures:
    """Cut weights to `max_parameters`; nothing is trained here.

    Args:
        inputs: `max_parameters`, `classes`, `image_side_px`.
        weights: What is cut.
        here: Gets `model.pt`.
    """
    wanted = Prune(max_parameters=inputs["max_parameters"])
    cut = prune(
        load_detector(weights),
        wanted,
        classes=inputs["classes"],
        image_size=inputs["image_side_px"],
    )
    save_as_weights(cut.model, here / "model.pt")
    written = load_detector(here / "model.pt")
    return {
        "parameters": parameter_count(written),
        "share_of_channels": cut.keep,
        "sha256": digest(here / "model.pt"),
    }
