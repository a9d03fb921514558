"""ONNX and TorchScript files repeat the checkpoint at any batch size and in any rectangle."""

import itertools
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tiny_networks import SIDE, tiny_model

from distill_jobs.errors import UnsupportedModel
from distill_jobs.release import export, quantize
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.export import INPUT_NAME, OUTPUT_NAME
from distill_jobs.release.parity import raw_fault
from distill_jobs.release.runtimes import TorchRuntime

# One of each kind of head: plain, end-to-end of v10, end-to-end of YOLO26 without DFL.
ARCHITECTURES = ("yolov8n.yaml", "yolov10n.yaml", "yolo26n.yaml")
# Height and width in strides of 32: wide, high, smaller, and larger than what was traced.
RECTANGLES = ((32, 64), (64, 32), (32, 32), (64, 96))


@pytest.fixture(scope="module", params=ARCHITECTURES)
def module(request: pytest.FixtureRequest) -> DenseDetector:
    return DenseDetector(tiny_model(request.param), SIDE)


def pictures(count: int, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """Blocks of random colours: what the tiny model's batch norms were fitted to."""
    blocks = np.random.default_rng(1).random((count, 3, height // 8, width // 8), np.float32)
    return np.ascontiguousarray(blocks.repeat(8, axis=2).repeat(8, axis=3))


def answer(module: DenseDetector, batch: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return module(torch.from_numpy(batch)).numpy()


def assert_same(got: np.ndarray, expected: np.ndarray) -> None:
    """Boxes within a fiftieth of a pixel, scores within a thousandth."""
    assert got.shape == expected.shape
    assert np.abs(got - expected)[:, :4].max() < 0.02
    assert np.abs(got - expected)[:, 4:].max() < 1e-3


def onnx_session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_the_dense_head_is_that_of_ultralytics() -> None:
    model = tiny_model()
    batch = pictures(2)

    with torch.no_grad():
        expected = model(torch.from_numpy(batch))[0].numpy()

    assert_same(answer(DenseDetector(model, SIDE), batch), expected)


def test_the_one_to_many_branch_is_taken() -> None:
    model = tiny_model("yolo26n.yaml")
    batch = pictures(1)

    got = answer(DenseDetector(model, SIDE), batch)
    model.model[-1].end2end = False
    with torch.no_grad():
        expected = model(torch.from_numpy(batch))[0].numpy()

    assert got.shape == (1, 7, 84)
    assert_same(got, expected)


def test_the_model_given_is_left_as_it_was() -> None:
    model = tiny_model("yolov10n.yaml")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    end_to_end = model.model[-1].end2end

    DenseDetector(model, SIDE)

    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert model.model[-1].end2end == end_to_end
    assert not model.model[-1].export


def test_onnx_repeats_pytorch_for_one_to_eight_images(
    module: DenseDetector, tmp_path: Path
) -> None:
    session = onnx_session(export.export_onnx(module, tmp_path / "m.onnx"))

    for count in range(1, 9):
        batch = pictures(count)
        (got,) = session.run([OUTPUT_NAME], {INPUT_NAME: batch})
        assert_same(got, answer(module, batch))


def test_torchscript_repeats_pytorch_for_one_to_eight_images(
    module: DenseDetector, tmp_path: Path
) -> None:
    loaded = torch.jit.load(str(export.export_torchscript(module, tmp_path / "m.torchscript")))

    for count in range(1, 9):
        batch = pictures(count)
        got = loaded(torch.from_numpy(batch)).numpy()
        assert_same(got, answer(module, batch))


def test_both_files_take_rectangles(module: DenseDetector, tmp_path: Path) -> None:
    session = onnx_session(export.export_onnx(module, tmp_path / "m.onnx"))
    traced = torch.jit.load(str(export.export_torchscript(module, tmp_path / "m.torchscript")))

    for count, (height, width) in itertools.product((1, 3), RECTANGLES):
        batch = pictures(count, height, width)
        (got,) = session.run([OUTPUT_NAME], {INPUT_NAME: batch})
        assert_same(got, answer(module, batch))
        assert_same(traced(torch.from_numpy(batch)).numpy(), answer(module, batch))


def test_a_fixed_grid_would_not_go_unseen(tmp_path: Path) -> None:
    module = DenseDetector(tiny_model(), SIDE)
    module.model.model[-1].dynamic = False
    answer(module, pictures(2))  # keeps the grid of this shape
    session = onnx_session(export.export_onnx(module, tmp_path / "m.onnx"))

    class Fixed:
        def run(self, batch: np.ndarray) -> np.ndarray:
            return np.asarray(session.run([OUTPUT_NAME], {INPUT_NAME: batch})[0])

    reference = TorchRuntime(DenseDetector(tiny_model(), SIDE))

    assert raw_fault(reference, Fixed(), pictures(2)) == ""
    with pytest.raises(Exception, match=r"broadcast|dimension|shape"):
        raw_fault(reference, Fixed(), pictures(2), stride=32)


def test_onnx_is_opset_17_and_only_its_classes_are_fixed(
    module: DenseDetector, tmp_path: Path
) -> None:
    graph = onnx.load(str(export.export_onnx(module, tmp_path / "m.onnx")))

    def shape(value: onnx.ValueInfoProto) -> list[int | str]:
        return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]

    assert [(one.domain, one.version) for one in graph.opset_import] == [("", 17)]
    assert shape(graph.graph.input[0]) == ["batch", 3, "height", "width"]
    assert shape(graph.graph.output[0]) == ["batch", 7, "anchors"]


def test_exporting_says_nothing(tmp_path: Path) -> None:
    module = DenseDetector(tiny_model(), SIDE)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export.export_onnx(module, tmp_path / "m.onnx")
        export.export_torchscript(module, tmp_path / "m.torchscript")


def test_a_failed_export_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "m.onnx"
    target.write_bytes(b"old")

    def fail_half_way() -> None:
        with export.whole_file(target) as partial:
            partial.write_bytes(b"half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail_half_way()

    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize("size", [0, -32, 100])
def test_an_image_size_off_the_stride_is_refused(size: int) -> None:
    with pytest.raises(UnsupportedModel, match=f"image_size: {size} is not a multiple"):
        DenseDetector(tiny_model(), size)


def test_another_head_is_refused() -> None:
    model = tiny_model()
    model.model[-1] = torch.nn.Linear(1, 1)

    with pytest.raises(UnsupportedModel, match="the model ends in Linear, not in a detection head"):
        DenseDetector(model, SIDE)


def test_int8_keeps_the_decoding_float_and_runs_any_batch(
    module: DenseDetector, tmp_path: Path
) -> None:
    source = export.export_onnx(module, tmp_path / "m.onnx")

    int8 = quantize.quantize_int8(
        source, tmp_path / "q.onnx", calibration=iter(pictures(8)), head_index=module.head_index
    )

    kept = [
        name
        for name in quantize.float_nodes(source, module.head_index, 2)
        if "/model.0/" not in name and "/model.1/" not in name
    ]
    quantized = onnx.load(str(int8))
    feeds = {name for node in quantized.graph.node if node.name in kept for name in node.input}
    answers_quantized = {
        name
        for node in quantized.graph.node
        if node.op_type == "QuantizeLinear"
        for name in node.input[:1]
    }
    decoded = {name for node in quantized.graph.node if node.name in kept for name in node.output}
    assert any("Sigmoid" in name for name in kept)
    assert not decoded & answers_quantized
    assert feeds
    assert int8.stat().st_size < 0.6 * source.stat().st_size
    session = onnx_session(int8)
    batch = pictures(5)
    (got,) = session.run([OUTPUT_NAME], {INPUT_NAME: batch})
    # How close INT8 comes says something of trained networks only: see the tests on real weights.
    assert got.shape == (5, 7, 84)
    assert np.isfinite(got).all()
    assert np.abs(got - answer(module, batch))[:, 4:].mean() < 0.25
    (wide,) = session.run([OUTPUT_NAME], {INPUT_NAME: pictures(2, 32, 64)})
    assert wide.shape == (2, 7, 42)
    assert np.isfinite(wide).all()


def test_the_first_layers_stay_float(tmp_path: Path) -> None:
    module = DenseDetector(tiny_model(), SIDE)
    source = export.export_onnx(module, tmp_path / "m.onnx")

    def quantized_convolutions(stem_layers: int) -> set[str]:
        int8 = quantize.quantize_int8(
            source,
            tmp_path / "q.onnx",
            calibration=iter(pictures(1)),
            head_index=module.head_index,
            stem_layers=stem_layers,
        )
        graph = onnx.load(str(int8)).graph
        made_by = {name: node.op_type for node in graph.node for name in node.output}
        return {
            node.name
            for node in graph.node
            if node.op_type == "Conv" and made_by.get(node.input[1]) == "DequantizeLinear"
        }

    all_layers, but_two = quantized_convolutions(0), quantized_convolutions(2)

    assert all_layers - but_two == {"/model/model.0/conv/Conv", "/model/model.1/conv/Conv"}
    assert but_two < all_layers


def test_calibration_images_are_counted(tmp_path: Path) -> None:
    module = DenseDetector(tiny_model(), SIDE)
    source = export.export_onnx(module, tmp_path / "m.onnx")
    seen: list[int] = []

    quantize.quantize_int8(
        source,
        tmp_path / "q.onnx",
        calibration=iter(pictures(3)),
        head_index=module.head_index,
        on_image=seen.append,
    )

    assert seen == [1, 1, 1]
