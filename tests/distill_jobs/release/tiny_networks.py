"""A tiny detector that finds things."""

import torch

from distill_jobs.environment import offline
from distill_jobs.recipe.release import Gate

SIDE = 64
CLASSES = ("round", "long", "odd")
# What a random network loses in INT8 says nothing about real ones: this gate lets it pass, and
# judges by the few images of a test.
OPEN_GATE = Gate(
    min_retention_map50=0.0,
    min_images=1,
    min_frames=1,
    min_frame_boxes=1,
    max_int8_drop_map50_95=1.0,
    min_matched_f1=0.0,
    resamples=200,
)


def tiny_model(architecture: str = "yolov8n.yaml", seed: int = 3) -> torch.nn.Module:
    """Return an untrained detector whose class scores are spread out, so that some are high."""
    offline()
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    description = yaml_model_load(architecture)
    description["scales"] = {"n": [0.33, 0.125, 1024]}
    torch.manual_seed(seed)
    model = DetectionModel(description, nc=len(CLASSES), verbose=False)
    _settle(model)
    with torch.no_grad():
        head = model.model[-1]
        branches = [head.cv3, getattr(head, "one2one_cv3", None)]
        for branch in (one for one in branches if one is not None):
            for level in branch:
                level[-1].weight *= 20
                level[-1].bias.fill_(-3.0)
    model.names = dict(enumerate(CLASSES))
    model.args = {"task": "detect"}
    return model.eval()


def _settle(model: torch.nn.Module) -> None:
    """Fit the batch norms to random images: untrained, the signal dies on its way."""
    norms = [one for one in model.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    images = torch.nn.functional.interpolate(torch.rand(16, 3, 8, 8), SIDE)
    with torch.no_grad():
        model.train()(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
