"""The trainable twin of a quantized graph rounds where the graph rounds."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from tiny_networks import SIDE, tiny_model

from distill_jobs.recipe.compression import FineTuning
from distill_jobs.release import export, quantize
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.export import INPUT_NAME, OUTPUT_NAME
from distill_jobs.release.fake_quantized import FakeQuantized
from distill_jobs.release.fine_tune import Lesson, answer_distance, fine_tune
from distill_jobs.release.rounding import fake_quantize

# Of both kinds of head; the second has attention, the first DFL.
ARCHITECTURES = ("yolov8n.yaml", "yolo26n.yaml")


def pictures(count: int) -> np.ndarray:
    """Blocks of random colours: what the tiny model's batch norms were fitted to."""
    blocks = np.random.default_rng(1).random((count, 3, 8, 8), np.float32)
    return np.ascontiguousarray(blocks.repeat(8, axis=2).repeat(8, axis=3))


def quantized(folder: Path, architecture: str) -> tuple[DenseDetector, Path, Path]:
    module = DenseDetector(tiny_model(architecture), SIDE)
    source = export.export_onnx(module, folder / "m.onnx")
    file = quantize.quantize_int8(
        source, folder / "q.onnx", calibration=iter(pictures(8)), head_index=module.head_index
    )
    return module, source, file


@pytest.fixture(scope="module", params=ARCHITECTURES)
def trio(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[DenseDetector, Path, Path]:
    return quantized(tmp_path_factory.mktemp("quantized"), request.param)


def ask_onnx(file: Path, batch: np.ndarray, *, fused: bool = False) -> np.ndarray:
    """Ask ONNX Runtime, as it is written or with operators fused into 8-bit ones."""
    level = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level.ORT_ENABLE_ALL if fused else level.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return session.run([OUTPUT_NAME], {INPUT_NAME: batch})[0]


def ask_torch(module: torch.nn.Module, batch: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return module(torch.from_numpy(batch)).numpy()


def score_difference(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(one - other)[:, 4:].mean())


def lesson(module: DenseDetector, epochs: int = 8) -> Lesson:
    images = pictures(8)
    return Lesson(
        files=[Path(str(place)) for place in range(len(images))],
        load=lambda file: images[int(file.name)],
        models=[(1.0, module)],
        settings=FineTuning(epochs=epochs, batch=4, lr0=3e-4),
    )


def test_fake_quantizing_rounds_to_steps_within_a_range():
    values = torch.tensor([-1.0, 0.04, 0.06, 0.26, 9.0], requires_grad=True)
    scale = torch.tensor(0.1, requires_grad=True)

    rounded = fake_quantize(values, scale, -2, 5)
    rounded.sum().backward()

    torch.testing.assert_close(rounded.detach(), torch.tensor([-0.2, 0.0, 0.1, 0.3, 0.5]))
    assert values.grad is not None
    assert scale.grad is not None
    assert values.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]
    # LSQ, equation 3: the bound outside of the range, round(v/s) - v/s inside of it.
    expected = -2 + (0 - 0.4) + (1 - 0.6) + (3 - 2.6) + 5
    assert scale.grad.item() == pytest.approx(expected, abs=1e-4)


def test_the_twin_answers_as_onnx_runtime_does(trio: tuple[DenseDetector, Path, Path]):
    module, _, file = trio
    batch = pictures(3)

    graph, twin = ask_onnx(file, batch), ask_torch(FakeQuantized(file), batch)

    np.testing.assert_allclose(twin, graph, rtol=1e-3, atol=1e-3)
    lost = score_difference(ask_torch(module, batch), graph)
    assert score_difference(twin, ask_onnx(file, batch, fused=True)) < 0.3 * lost


def test_writing_at_once_changes_nothing(trio: tuple[DenseDetector, Path, Path], tmp_path: Path):
    module, _, file = trio
    batch = pictures(2)

    again = FakeQuantized(file).write(tmp_path / "again.onnx")

    # A scale may differ in its last bit, and so may a rounding.
    lost = score_difference(ask_torch(module, batch), ask_onnx(file, batch))
    assert score_difference(ask_onnx(again, batch), ask_onnx(file, batch)) < 0.2 * lost
    assert again.stat().st_size == pytest.approx(file.stat().st_size, rel=0.01)


def test_weights_start_where_they_were_before_they_were_rounded(
    trio: tuple[DenseDetector, Path, Path],
):
    module, source, file = trio
    floats = [
        numpy_helper.to_array(one) for one in onnx.load(str(source)).graph.initializer if one.dims
    ]

    rounded, exact = FakeQuantized(file), FakeQuantized(file, source)

    kernels = [one.detach().numpy() for one in exact.learnt if one.dim() == 4]
    before = [one.detach().numpy() for one in rounded.learnt if one.dim() == 4]
    found = [any(np.array_equal(one, kernel) for one in floats) for kernel in kernels]
    assert all(found)
    assert any(not np.array_equal(*pair) for pair in zip(kernels, before, strict=True))
    batch = pictures(2)
    lost = score_difference(ask_torch(module, batch), ask_torch(rounded, batch))
    assert score_difference(ask_torch(exact, batch), ask_torch(rounded, batch)) < 0.2 * lost


def test_fine_tuning_lowers_the_loss_and_brings_onnx_runtime_closer(tmp_path: Path):
    module, source, file = quantized(tmp_path, "yolov8n.yaml")
    student = FakeQuantized(file, source)
    batch = pictures(8)
    wanted = ask_torch(module, batch)
    steps: list[None] = []

    losses = fine_tune(student, lesson(module), on_batch=lambda: steps.append(None))
    tuned = student.write(tmp_path / "tuned.onnx")

    assert losses[-1] < 0.8 * losses[0]
    assert len(losses) == 8
    assert len(steps) == 16
    before = score_difference(ask_onnx(file, batch), wanted)
    after = score_difference(ask_onnx(tuned, batch), wanted)
    assert after < before
    twin = score_difference(ask_torch(student, batch), ask_onnx(tuned, batch))
    assert twin < 0.25 * after
    assert operators(tuned) == operators(file)


def test_fine_tuning_twice_gives_the_same_file(tmp_path: Path):
    module, source, file = quantized(tmp_path, "yolov8n.yaml")

    contents = []
    for name in ("first.onnx", "second.onnx"):
        student = FakeQuantized(file, source)
        fine_tune(student, lesson(module, epochs=1))
        contents.append(student.write(tmp_path / name).read_bytes())

    assert contents[0] == contents[1]


def test_equal_answers_have_no_distance_and_the_gradient_reaches_the_student_alone():
    wanted = torch.rand(2, 7, 20, requires_grad=True)
    answers = wanted.detach().clone().requires_grad_()

    same = answer_distance(answers, wanted)
    other = answer_distance(answers * 0.9, wanted)
    other.backward()

    assert same.item() == pytest.approx(0, abs=1e-5)
    assert other > 0.01
    assert answers.grad is not None
    assert answers.grad.abs().sum() > 0
    assert wanted.grad is None


def operators(file: Path) -> list[str]:
    return [node.op_type for node in onnx.load(str(file)).graph.node]
