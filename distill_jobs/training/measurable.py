"""Networks that could be trained for hours, and then neither measured nor exported."""

import torch
from ultralytics.nn.tasks import DetectionModel

from distill_jobs.errors import UnsupportedModel
from distill_jobs.recipe.networks import Student, Teacher
from distill_jobs.release.dense import DenseDetector
from distill_jobs.training.networks import find_origin


def refuse_unmeasurable(network: Teacher | Student, image_size: int) -> None:
    """Fail before a training, not after it, where its model could not be measured.

    Args:
        network: Of the job.
        image_size: Of the job, pixels.

    Raises:
        UnsupportedModel: It has no dense head (RT-DETR), or a stride that the size does not fit.
        JobError: Its weights cannot be loaded, or ultralytics has no such architecture.
    """
    origin = find_origin(network)
    with torch.random.fork_rng(devices=()):
        model = origin.weights or DetectionModel(origin.shape, nc=1, verbose=False)
    try:
        DenseDetector(model, image_size)
    except UnsupportedModel as error:
        role = "teacher" if isinstance(network, Teacher) else "student"
        name = network.weights.name if network.weights else network.architecture
        message = f"{role}: {name}: {error.message}"
        if isinstance(network, Teacher):
            message += (
                ". The lead is measured like the student; a model that can only be listened to "
                "is listed under `further_teachers:`, beside a lead that can"
            )
        raise UnsupportedModel(message) from error
