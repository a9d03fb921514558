"""The most important channels survive, together with what belongs to them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from distill_jobs.checkpoints import load_detector, parameter_count
from distill_jobs.environment import offline
from distill_jobs.errors import JobError, UnsupportedModel
from distill_jobs.recipe.compression import Prune

SIDE = 64


def build(architecture: str, width: float = 0.25, classes: int = 3):
    offline()
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    description = yaml_model_load(architecture)
    scale = description["scale"]
    depth, _, most = description["scales"][scale]
    description["scales"] = {scale: [depth, width, most]}
    torch.manual_seed(2)
    model = DetectionModel(description, nc=classes, verbose=False)
    model.names = {place: f"class {place}" for place in range(classes)}
    with torch.no_grad():  # as after a training: batch norms that differ from channel to channel
        for norm in (one for one in model.modules() if isinstance(one, torch.nn.BatchNorm2d)):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
            norm.running_mean.uniform_(-0.2, 0.2)
            norm.running_var.uniform_(0.5, 2.0)
    return model.eval()


def answers(model: torch.nn.Module) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        return model.eval()(torch.rand(2, 3, SIDE, SIDE, generator=generator))[0]


def silence(layer, keep: int) -> None:
    """Leave a convolution only its first `keep` channels; the others answer 0."""
    with torch.no_grad():
        layer.conv.weight[keep:] = 0
        for values in (layer.bn.weight, layer.bn.bias, layer.bn.running_mean):
            values[keep:] = 0


@pytest.mark.parametrize("architecture", ["yolov8n.yaml", "yolo11n.yaml"])
def test_cut_to_its_own_width_a_network_answers_as_before(architecture: str):
    from distill_jobs.training.prune import pruned

    model = build(architecture, width=0.125)

    same = pruned(model, width=0.125)

    assert same is not model
    torch.testing.assert_close(answers(same), answers(model))


@pytest.mark.parametrize("architecture", ["yolov5nu.yaml", "yolo26n.yaml"])
def test_a_narrow_network_holds_the_wide_ones_numbers_and_no_others(architecture: str):
    from distill_jobs.training.prune import pruned

    model = build(architecture)

    small = pruned(model, width=0.125)

    assert parameter_count(small) < 0.5 * parameter_count(model)
    wide = {name: set(value.flatten().tolist()) for name, value in model.state_dict().items()}
    for name, value in small.state_dict().items():
        if value.is_floating_point():
            assert set(value.flatten().tolist()) <= wide[name], name
    assert torch.isfinite(answers(small)).all()


def test_channels_that_say_nothing_are_those_that_go():
    """Cutting C2f's silent channels, residual ones included, changes no answer."""
    from distill_jobs.training.narrow import narrow_into
    from distill_jobs.training.prune import pruned

    model = build("yolov8n.yaml")
    small = pruned(model, width=0.25)
    layers = model.model
    block = layers[2]  # C2f with a residual bottleneck: 32 channels, 16 in each half
    from ultralytics.nn.modules.block import C2f

    narrow = C2f(32, 32, 1, True, e=0.25).eval()
    narrow.i, narrow.f, narrow.type = block.i, block.f, block.type
    with torch.no_grad():
        for half in (slice(8, 16), slice(24, 32)):
            block.cv1.conv.weight[half] = 0
            for values in (block.cv1.bn.weight, block.cv1.bn.bias, block.cv1.bn.running_mean):
                values[half] = 0
        silence(block.m[0].cv1, 8)
        silence(block.m[0].cv2, 8)
    small.model[2] = narrow

    narrow_into(model, small)

    # Sums over fewer channels round otherwise: the answers reach 100 in FP32.
    torch.testing.assert_close(answers(small), answers(model), rtol=1e-4, atol=1e-3)


def test_fewer_repeats_keep_the_first_blocks():
    from distill_jobs.training.prune import pruned

    model = build("yolov8n.yaml", width=0.125)

    small = pruned(model, depth=0.1)

    assert [len(small.model[place].m) for place in (4, 6)] == [1, 1]
    assert [len(model.model[place].m) for place in (4, 6)] == [2, 2]
    kept = small.model[4].m[0].cv1.conv.weight
    assert torch.equal(kept, model.model[4].m[0].cv1.conv.weight)


def test_a_head_for_other_classes_keeps_all_but_its_answers():
    from distill_jobs.training.prune import pruned

    model = build("yolov8n.yaml", width=0.125, classes=80)

    small = pruned(model, names=("a", "b", "c"))

    head, before = small.model[-1], model.model[-1]
    assert head.nc == 3
    assert head.cv3[0][-1].out_channels == 3
    assert torch.equal(head.cv2[0][-1].weight, before.cv2[0][-1].weight)
    wide = set(before.cv3[0][0].conv.weight.flatten().tolist())
    assert set(head.cv3[0][0].conv.weight.flatten().tolist()) <= wide
    assert small.names == {0: "a", 1: "b", 2: "c"}


@pytest.mark.parametrize("architecture", ["yolov8n.yaml", "yolo26n.yaml"])
def test_classes_that_are_known_by_name_are_not_forgotten(architecture: str):
    from distill_jobs.training.prune import pruned

    model = build(architecture, width=0.125, classes=80)
    narrow = {"width": 0.1}
    everything = pruned(model, **narrow)

    small = pruned(model, **narrow, names=("Class 41", "stranger", "class 7"))

    branches = [name for name in ("cv3", "one2one_cv3") if getattr(small.model[-1], name, None)]
    for name in branches:
        old, new = (getattr(one.model[-1], name)[0][-1] for one in (everything, small))
        hidden = new.in_channels  # the branch is as wide as its classes are many
        assert new.bias[[0, 2]].tolist() == old.bias[[41, 7]].tolist()
        kept = set(old.weight[41].flatten().tolist())
        assert set(new.weight[0].flatten().tolist()) <= kept
        assert len(set(new.weight[0].flatten().tolist())) == hidden
        assert not set(new.weight[1].flatten().tolist()) & kept
    assert len(branches) == (2 if architecture == "yolo26n.yaml" else 1)


def test_pruning_twice_gives_the_same_network():
    from distill_jobs.training.prune import pruned

    model = build("yolov8n.yaml", width=0.125, classes=80)

    first, second = (pruned(model, width=0.1, names=("a", "b", "c")).state_dict() for _ in range(2))

    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_search_takes_the_widest_network_below_a_number_of_parameters():
    from distill_jobs.training.prune import prune

    model = build("yolov8n.yaml")

    cut = prune(model, Prune(max_parameters=1_700_000), names=("a", "b", "c"), image_size=SIDE)
    wider = prune(model, Prune(keep=1), names=("a", "b", "c"), image_size=SIDE)

    assert 1_300_000 < cut.parameters <= 1_700_000 < wider.parameters
    assert cut.parameters == parameter_count(cut.model)


def test_a_number_of_parameters_out_of_reach_is_refused():
    from distill_jobs.training.prune import prune

    with pytest.raises(JobError, match="max_parameters: 10000 cannot be reached"):
        prune(
            build("yolov8n.yaml"),
            Prune(max_parameters=10_000),
            names=("a", "b", "c"),
            image_size=SIDE,
        )


def test_layers_without_a_rule_are_refused():
    from distill_jobs.training.prune import pruned

    with pytest.raises(UnsupportedModel, match="cannot choose channels of a SCDown layer"):
        pruned(build("yolov10n.yaml"), width=0.125)


def test_a_cut_network_is_a_checkpoint_like_any_other(tmp_path: Path):
    from distill_jobs.training.prune import pruned, save_as_weights

    small = pruned(build("yolo11n.yaml", width=0.125), width=0.1)
    save_as_weights(small, tmp_path / "small.pt")

    loaded = load_detector(tmp_path / "small.pt")

    np.testing.assert_allclose(answers(loaded), answers(small), rtol=1e-4, atol=1e-4)


def test_settling_gives_batch_norms_the_statistics_of_what_they_see():
    from distill_jobs.training.prune import pruned
    from distill_jobs.training.settling import settle

    small = pruned(build("yolov8n.yaml", width=0.125), width=0.1)
    momenta = {one.momentum for one in small.modules() if isinstance(one, torch.nn.BatchNorm2d)}
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 8, 3, SIDE, SIDE, generator=generator)

    settle(small, images)

    first = small.model[0]
    with torch.no_grad():
        seen = first.conv(images.flatten(0, 1))
    torch.testing.assert_close(first.bn.running_mean, seen.mean(dim=(0, 2, 3)))
    assert first.bn.running_var.tolist() == pytest.approx(seen.var(dim=(0, 2, 3)).tolist(), rel=0.1)
    after = {one.momentum for one in small.modules() if isinstance(one, torch.nn.BatchNorm2d)}
    assert after == momenta
    assert torch.isfinite(answers(small)).all()


@pytest.mark.parametrize("targets", [{}, {"keep": 0.5, "max_parameters": 1_700_000}])
def test_exactly_one_target_is_given(targets: dict[str, float]):
    with pytest.raises(ValidationError, match="give exactly one of `keep:`"):
        Prune(**targets)
