"""OpenVINO's variants of a release: which files they have, and who may take them away."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tiny_networks import SIDE, tiny_model

from distill_jobs.data.dataset import Dataset
from distill_jobs.progress import Silent
from distill_jobs.release.build import build_release
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.export import INPUT_NAME, OUTPUT_NAME, export_onnx
from distill_jobs.release.fake_quantized import FakeQuantized
from distill_jobs.release.making import needs_calibration
from distill_jobs.release.quantize import FOR_OPENVINO, quantize_int8
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.requirements import cannot_measure, requirements
from handlers.machine import Machine
from handlers.openvino_runtime import OpenVinoRuntime

Make = Callable[..., ReleaseRequest]

ALL = ("onnxruntime-fp32", "openvino-fp32", "openvino-bf16", "openvino-int8", "openvino-int8bf16")


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantized")
    module = DenseDetector(tiny_model(), SIDE)
    generator = np.random.default_rng(3)
    source = export_onnx(module, folder / "float.onnx")
    return quantize_int8(
        source,
        folder / "int8.onnx",
        calibration=[generator.random((3, SIDE, SIDE), dtype=np.float32) for _ in range(4)],
        head_index=module.head_index,
        scheme=FOR_OPENVINO,
        stem_layers=0,
    )


def test_its_int8_rounds_what_goes_into_convolutions_and_nothing_else(quantized: Path) -> None:
    graph = onnx.load(str(quantized)).graph
    constants = {one.name: one for one in graph.initializer}
    convolved = {name for node in graph.node if node.op_type == "Conv" for name in node.input}
    makers = {name: node.op_type for node in graph.node for name in node.output}
    rounding = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    rounded = [node for node in graph.node if node.op_type == "DequantizeLinear"]

    assert len(rounding) > 5
    assert {node.output[0] for node in rounded} <= convolved
    for node in rounding:
        assert makers.get(node.input[0]) != "Conv"  # its SiLU is fused into it instead
        assert constants[node.input[2]].data_type == onnx.TensorProto.UINT8


def asked_as_it_stands(graph: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two inputs, and what ONNX Runtime answers them without changing the graph."""
    batch = np.random.default_rng(4).random((2, 3, SIDE, SIDE), dtype=np.float32)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    (wanted,) = session.run([OUTPUT_NAME], {INPUT_NAME: batch})
    return batch, wanted


def test_openvino_computes_what_the_graph_says(quantized: Path) -> None:
    batch, wanted = asked_as_it_stands(quantized)

    runtime = OpenVinoRuntime(
        quantized, tensor_name=INPUT_NAME, output_name=OUTPUT_NAME, precision="int8", threads=1
    )

    answer = runtime.run(batch)
    assert np.abs(answer[:, 4:] - wanted[:, 4:]).max() < 0.02
    assert np.abs(answer[:, :4] - wanted[:, :4]).max() < 2


def test_its_int8_can_be_fine_tuned_too(quantized: Path) -> None:
    batch, wanted = asked_as_it_stands(quantized)

    with torch.no_grad():
        answer = FakeQuantized(quantized)(torch.from_numpy(batch)).numpy()

    np.testing.assert_allclose(answer, wanted, atol=1e-3)


def test_variants_that_share_a_file_have_it_once_in_the_archive(
    request_for: Make, small_set: Dataset
) -> None:
    result = build_release(request_for(exports=ALL, samples=small_set.split("val")), Silent())

    made = {one.name: one.file for one in result.variants}
    wanted = [name for name in ALL if not cannot_measure(name)]
    assert sorted(made) == sorted(wanted)
    assert {file for name, file in made.items() if "int8" not in name} == {"student.onnx"}
    assert {file for name, file in made.items() if "int8" in name} == {"student-openvino-int8.onnx"}
    with zipfile.ZipFile(result.archive) as archive:
        weights = [name for name in archive.namelist() if name.endswith(".onnx")]
    assert sorted(weights) == ["student-openvino-int8.onnx", "student.onnx"]
    assert "openvino" in result.card.worker_requirements.packages


@pytest.mark.parametrize("first", ["openvino-bf16", "onnxruntime-fp32"])
def test_a_variant_that_is_left_out_leaves_the_others_file(request_for: Make, first: str) -> None:
    second = {"openvino-bf16": "onnxruntime-fp32", "onnxruntime-fp32": "openvino-bf16"}[first]
    request = request_for(exports=(first, second))  # with six images, no reduced precision

    result = build_release(request, Silent())

    assert list(result.left_out) == ["openvino-bf16"]
    assert [one.file for one in result.variants] == ["student.onnx"]
    with zipfile.ZipFile(result.archive) as archive:
        assert archive.getinfo("student.onnx").file_size > 1000


def test_what_openvinos_variants_ask_of_a_machine() -> None:
    here = Machine.here()
    eight_bits = ("vnni",) if here.multiplies_8_bits_exactly else ()

    assert requirements("openvino-fp32") == ()
    assert requirements("openvino-bf16") == ("bf16",)
    assert requirements("openvino-int8") == eight_bits
    assert requirements("openvino-int8bf16") == (*eight_bits, "bf16")
    assert bool(cannot_measure("openvino-bf16")) is not here.has_bf16
    assert needs_calibration("openvino-int8")
    assert not needs_calibration("openvino-bf16")
