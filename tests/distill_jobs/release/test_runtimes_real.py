"""What each runtime and precision finds on real photographs, through the pipeline that serves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from distill_jobs.checkpoints import class_names, load_detector
from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import data_root
from distill_jobs.release.agreement import Rule, compare
from distill_jobs.release.answers import ask, scoring_card, tensor_of
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.export import INPUT_NAME, OUTPUT_NAME, export_onnx
from distill_jobs.release.parity import Answers
from distill_jobs.release.quantize import FOR_ONNX_RUNTIME, FOR_OPENVINO, quantize_int8
from handlers.card import Card
from handlers.machine import Machine
from handlers.onnx_runtime import OnnxRuntime
from handlers.openvino_runtime import OpenVinoRuntime
from handlers.runtimes import Runtime

COCO = data_root() / "coco256" / "data.yaml"
WEIGHTS = data_root() / "weights" / "yolov8n.pt"
SIDE, IMAGES, CALIBRATION = 320, 32, 24
NAMES = {"tensor_name": INPUT_NAME, "output_name": OUTPUT_NAME, "threads": 1}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not COCO.exists(), reason=f"no real data in {data_root()}"),
]


@dataclass(frozen=True)
class Stage:
    """Files of yolov8n, and who is asked on photographs of any shape.

    Attributes:
        card: Rectangles of whole strides.
        plain: FP32.
        quantized: INT8 for OpenVINO.
        quantized_ort: INT8 for ONNX Runtime.
        dataset: COCO.
    """

    card: Card
    plain: Path
    quantized: Path
    quantized_ort: Path
    dataset: Dataset

    def ask(self, runtime: Runtime) -> Answers:
        """Return a runtime's answers on the validation images."""
        samples = self.dataset.split("val")[:IMAGES]
        images = tuple(one.image for one in samples)
        return ask(self.card, runtime, images, samples, on_image=lambda _: None)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    folder = tmp_path_factory.mktemp("yolov8n")
    model = load_detector(WEIGHTS)
    module = DenseDetector(model, SIDE)
    card = scoring_card(class_names(model), SIDE)
    card = replace(card, input=replace(card.input, stride=32))
    dataset = Dataset.load(COCO)
    square = replace(card, input=replace(card.input, stride=0))

    def tensors() -> Iterator[np.ndarray]:
        return (tensor_of(square, one.image) for one in dataset.split("train")[:CALIBRATION])

    plain = export_onnx(module, folder / "plain.onnx")
    files = [
        quantize_int8(
            plain,
            folder / name,
            calibration=tensors(),
            head_index=module.head_index,
            scheme=scheme,
            stem_layers=5,
        )
        for name, scheme in (("int8.onnx", FOR_OPENVINO), ("ort.onnx", FOR_ONNX_RUNTIME))
    ]
    return Stage(card, plain, *files, dataset)


@pytest.fixture(scope="module")
def reference(stage: Stage) -> Answers:
    """What ONNX Runtime answers in FP32: other tests hold it against PyTorch."""
    return stage.ask(OnnxRuntime(stage.plain, **NAMES))


def openvino(precision: str) -> Callable[[Stage], Runtime]:
    quantized = precision.startswith("int8")
    return lambda stage: OpenVinoRuntime(
        stage.quantized if quantized else stage.plain, precision=precision, **NAMES
    )


@pytest.mark.parametrize(
    ("runtime", "min_f1", "max_drop"),
    [
        pytest.param(openvino("fp32"), 0.999, 0.001, id="openvino-fp32"),
        pytest.param(openvino("bf16"), 0.97, 0.01, id="openvino-bf16"),
        pytest.param(openvino("int8"), 0.93, 0.02, id="openvino-int8"),
        pytest.param(openvino("int8bf16"), 0.93, 0.02, id="openvino-int8bf16"),
        pytest.param(
            lambda stage: OnnxRuntime(stage.quantized_ort, **NAMES),
            0.93,
            0.02,
            id="onnxruntime-int8",
        ),
    ],
)
def test_it_finds_what_fp32_finds(
    stage: Stage,
    reference: Answers,
    *,
    runtime: Callable[[Stage], Runtime],
    min_f1: float,
    max_drop: float,
    request: pytest.FixtureRequest,
) -> None:
    if "bf16" in request.node.callspec.id and not Machine.here().has_bf16:
        pytest.skip("this processor has no bfloat16")

    answers = stage.ask(runtime(stage))

    thresholds = np.full(len(stage.card.class_names), 0.25, np.float32)
    agreement = compare(reference.detections, answers.detections, thresholds, Rule())
    assert agreement.pairs > 80
    assert agreement.f1 >= min_f1
    assert answers.quality is not None
    assert reference.quality is not None
    assert reference.quality.map50_95 - answers.quality.map50_95 <= max_drop
