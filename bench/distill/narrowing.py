"""The small student: the COCO weights' yolov8n, cut to fewer parameters."""

from pathlib import Path

from bench.distill.cells import Figures, Inputs
from bench.distill.folds import Fold
from distill_jobs.checkpoints import digest, load_detector, parameter_count
from distill_jobs.pruning import settling_batches
from distill_jobs.recipe.compression import Prune
from distill_jobs.training.prune import prune, save_as_weights
from distill_jobs.training.settling import settle


def narrow_cell(inputs: Inputs, fold: Fold, weights: Path, here: Path) -> Figures:
    """Cut weights to `max_parameters`, as a job's pruning step does; nothing is trained here.

    Args:
        inputs: `max_parameters`, `image_side_px`.
        fold: Its train part measures the batch norms anew.
        weights: What is cut.
        here: Gets `model.pt`.
    """
    wanted = Prune(max_parameters=inputs["max_parameters"])
    cut = prune(
        load_detector(weights),
        wanted,
        names=fold.class_names,
        image_size=inputs["image_side_px"],
    )
    images = [sample.image for sample in fold.train]
    settle(cut.model, settling_batches(images, inputs["image_side_px"]))
    save_as_weights(cut.model, here / "model.pt")
    written = load_detector(here / "model.pt")
    return {
        "parameters": parameter_count(written),
        "share_of_channels": cut.keep,
        "sha256": digest(here / "model.pt"),
    }
