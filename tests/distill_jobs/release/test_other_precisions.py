"""FP16 for GPUs, dynamic INT8 for graphs of matrix products, and what variants ask of a machine."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tiny_networks import SIDE, tiny_model

from distill_jobs.data.dataset import Dataset
from distill_jobs.errors import UnsupportedModel
from distill_jobs.progress import Silent
from distill_jobs.release import export, half, quantize, quantize_dynamic
from distill_jobs.release.build import build_release
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.export import INPUT_NAME, OUTPUT_NAME
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.requirements import device_for, requirements
from handlers.requirements import multiplies_8_bits_exactly

Make = Callable[..., ReleaseRequest]


@pytest.fixture(scope="module")
def module() -> DenseDetector:
    return DenseDetector(tiny_model(), SIDE)


@pytest.fixture(scope="module")
def source(module: DenseDetector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export.export_onnx(module, tmp_path_factory.mktemp("float") / "m.onnx")


def images(count: int) -> np.ndarray:
    """Blocks of random colours: what the tiny model's batch norms were fitted to."""
    blocks = np.random.default_rng(1).random((count, 3, 8, 8), np.float32)
    return np.ascontiguousarray(blocks.repeat(8, axis=2).repeat(8, axis=3))


def ask(file: Path, batch: np.ndarray, name: str = INPUT_NAME) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run([OUTPUT_NAME], {name: batch})[0]


def weights_by_type(file: Path) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for one in onnx.load(str(file)).graph.initializer:
        sizes[one.data_type] = sizes.get(one.data_type, 0) + int(np.prod(one.dims))
    return sizes


def test_fp16_halves_the_file_and_keeps_float_outside(
    module: DenseDetector, source: Path, tmp_path: Path
):
    file = half.convert_to_fp16(source, tmp_path / "half.onnx", head_index=module.head_index)

    graph = onnx.load(str(file)).graph
    types = {one.type.tensor_type.elem_type for one in (*graph.input, *graph.output)}
    assert types == {onnx.TensorProto.FLOAT}
    by_type = weights_by_type(file)
    assert by_type[onnx.TensorProto.FLOAT16] > 20 * by_type.get(onnx.TensorProto.FLOAT, 0)
    assert [one.version for one in onnx.load(str(file)).opset_import if one.domain == ""] == [17]
    batch = images(3)
    difference = np.abs(ask(file, batch) - ask(source, batch))
    # An untrained network multiplies roundings: a trained one stays within hundredths of a pixel.
    assert difference[:, :4].mean() < 0.5
    assert difference[:, 4:].mean() < 0.02


def test_dynamic_int8_of_a_convolutional_detector_is_refused(source: Path, tmp_path: Path):
    with pytest.raises(UnsupportedModel, match="Take static INT8: onnxruntime-int8"):
        quantize_dynamic.quantize_dynamic_int8(source, tmp_path / "dynamic.onnx")

    assert list(tmp_path.iterdir()) == []


def test_dynamic_int8_of_matrix_products_is_small_and_close(tmp_path: Path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Linear(256, 8), torch.nn.Sigmoid()
    )
    source = tmp_path / "linear.onnx"
    with export.no_torchscript_noise():
        torch.onnx.export(
            network,
            (torch.rand(2, 64),),
            str(source),
            dynamo=False,
            opset_version=export.OPSET,
            input_names=["text"],
            output_names=[OUTPUT_NAME],
        )

    file = quantize_dynamic.quantize_dynamic_int8(source, tmp_path / "dynamic.onnx")

    by_type = weights_by_type(file)
    assert by_type[onnx.TensorProto.INT8] > 10 * by_type[onnx.TensorProto.FLOAT]
    assert file.stat().st_size < 0.5 * source.stat().st_size
    batch = np.random.default_rng(0).random((2, 64), np.float32)
    np.testing.assert_allclose(ask(file, batch, "text"), ask(source, batch, "text"), atol=0.03)


def test_static_int8_is_opset_17_u8s8_per_channel(
    module: DenseDetector, source: Path, tmp_path: Path
):
    file = quantize.quantize_int8(
        source, tmp_path / "q.onnx", calibration=iter(images(4)), head_index=module.head_index
    )

    graph = onnx.load(str(file))
    constants = {one.name: one for one in graph.graph.initializer}
    made_by = {name: node for node in graph.graph.node for name in node.output}
    kernels = [
        made_by[node.input[1]]
        for node in graph.graph.node
        if node.op_type == "Conv" and node.input[1] in made_by
    ]
    activations = [node for node in graph.graph.node if node.op_type == "QuantizeLinear"]
    assert [one.version for one in graph.opset_import if one.domain == ""] == [17]
    assert len(kernels) > 20
    for kernel in kernels:
        numbers, scale = (constants[name] for name in kernel.input[:2])
        assert numbers.data_type == onnx.TensorProto.INT8
        assert list(scale.dims) == [numbers.dims[0]]
    for node in activations:
        assert constants[node.input[2]].data_type == onnx.TensorProto.UINT8
        assert list(constants[node.input[1]].dims) == []


def test_variants_name_what_they_ask_of_a_machine():
    eight_bits = ("vnni",) if multiplies_8_bits_exactly() else ()

    assert requirements("onnxruntime-fp32") == ()
    assert requirements("torchscript-fp32") == ()
    assert requirements("onnxruntime-int8") == eight_bits
    assert requirements("onnxruntime-int8dynamic") == eight_bits
    assert requirements("onnxruntime-fp16") == ("cuda",)
    assert device_for("onnxruntime-fp16") == 0
    assert device_for("onnxruntime-int8") is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="shows what happens without a GPU")
def test_without_a_gpu_fp16_is_left_out_and_kept_beside_where_asked(
    request_for: Make, small_set: Dataset
):
    request = request_for(
        exports=("onnxruntime-fp32", "onnxruntime-fp16", "onnxruntime-int8dynamic"),
        samples=small_set.split("val"),
        keep_unmeasured=True,
    )

    result = build_release(request, Silent())

    assert [variant.name for variant in result.card.variants] == ["onnxruntime-fp32"]
    assert "there is none here" in result.left_out["onnxruntime-fp16"]
    assert "transformers" in result.left_out["onnxruntime-int8dynamic"]
    kept = request.work_dir / "unmeasured" / "student-fp16.onnx"
    assert str(kept) in result.left_out["onnxruntime-fp16"]
    assert kept.stat().st_size > 1000
