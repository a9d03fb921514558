"""A network's quality on a validation split, measured as releases measure it."""

import torch
from torch import nn

from distill_jobs.data.dataset import Dataset
from distill_jobs.release.answers import ask, scoring_card
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.runtimes import TorchRuntime


def map50_95_of(model: nn.Module, data: Dataset, *, image_size: int, device: torch.device) -> float:
    """Score a detector on the pictures that a release is measured on: square and letterboxed.

    Args:
        model: An ultralytics detector; left as it is.
        data: The data set.
        image_size: Side of the square input, pixels.
        device: What runs it.

    Returns:
        mAP50-95, 0 to 1.

    Raises:
        DataSetInvalid: An image or a label does not fit.
    """
    samples = data.split("val")
    answers = ask(
        scoring_card(data.class_names, image_size),
        TorchRuntime(DenseDetector(model, image_size), device),
        [sample.image for sample in samples],
        samples,
        on_image=lambda _: None,
    )
    return answers.quality.map50_95 if answers.quality else 0.0
