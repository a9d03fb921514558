"""OpenVINO against ONNX Runtime on the same graph, of free height and width."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from handlers.errors import CardError
from handlers.machine import Machine
from handlers.onnx_runtime import OnnxRuntime
from handlers.openvino_runtime import OpenVinoRuntime

NAMES = {"tensor_name": "images", "output_name": "head"}
SHAPES = [(64, 64), (32, 64), (96, 32), (64, 64)]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions and a sigmoid: float32 [N, 3, H, W] to [N, 7, H / 8 * W / 8]."""
    generator = np.random.default_rng(0)
    first = numpy_helper.from_array(
        generator.normal(0, 0.2, (16, 3, 8, 8)).astype(np.float32), "first"
    )
    second = numpy_helper.from_array(
        generator.normal(0, 0.3, (7, 16, 1, 1)).astype(np.float32), "second"
    )
    flat = numpy_helper.from_array(np.array([0, 7, -1], np.int64), "flat")
    nodes = [
        helper.make_node("Conv", ["images", "first"], ["cells"], strides=[8, 8]),
        helper.make_node("Relu", ["cells"], ["lit"]),
        helper.make_node("Conv", ["lit", "second"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Reshape", ["scores", "flat"], ["head"]),
    ]
    taken = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"])
    given = helper.make_tensor_value_info("head", TensorProto.FLOAT, ["n", 7, "anchors"])
    made = helper.make_graph(nodes, "free", [taken], [given], [first, second, flat])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("free") / "free.onnx"
    onnx.save(model, str(path))
    return path


def batches() -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.random((n, 3, h, w), dtype=np.float32) for n in (1, 3) for h, w in SHAPES]


def test_it_answers_as_onnx_runtime_does_whatever_the_shape(graph: Path) -> None:
    reference = OnnxRuntime(graph, **NAMES, threads=1)
    runtime = OpenVinoRuntime(graph, **NAMES, precision="fp32", threads=1)

    for batch in batches():
        answer = runtime.run(batch)
        assert answer.dtype == np.float32
        np.testing.assert_allclose(answer, reference.run(batch), atol=1e-5)


def test_an_answer_survives_the_next_run_of_another_shape(graph: Path) -> None:
    runtime = OpenVinoRuntime(graph, **NAMES, precision="fp32", threads=1)
    one, other = batches()[0], batches()[5]
    first = runtime.run(one)
    kept = first.copy()

    runtime.run(other)
    runtime.run(np.zeros_like(one))

    np.testing.assert_array_equal(first, kept)


def test_bfloat16_is_near_and_not_the_same(graph: Path) -> None:
    if not Machine.here().has_bf16:
        pytest.skip("this processor has no bfloat16")
    reference = OnnxRuntime(graph, **NAMES, threads=1)
    runtime = OpenVinoRuntime(graph, **NAMES, precision="bf16", threads=1)

    batch = batches()[0]
    answer, wanted = runtime.run(batch), reference.run(batch)

    np.testing.assert_allclose(answer, wanted, atol=0.05)
    assert np.abs(answer - wanted).max() > 1e-5  # else the hint was not heard


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="asks Linux")
def test_a_run_may_use_any_core(graph: Path) -> None:
    runtime = OpenVinoRuntime(graph, **NAMES, precision="fp32", threads=1)
    thread, before, during = threading.get_native_id(), os.sched_getaffinity(0), set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.001):
            during.add(frozenset(os.sched_getaffinity(thread)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    while not during:  # several runs long: OpenVINO pins for as long as a run takes
        runtime.run(np.zeros((8, 3, 1024, 1024), np.float32))
    ended.set()
    watcher.join()

    assert during == {frozenset(before)}


def test_an_unknown_precision_is_refused(graph: Path) -> None:
    with pytest.raises(CardError, match="openvino-int4: precision must be one of fp32, bf16"):
        OpenVinoRuntime(graph, **NAMES, precision="int4", threads=1)


def test_nothing_of_openvino_that_reports_to_its_makers_is_loaded(graph: Path) -> None:
    script = """
import sys
from pathlib import Path
from handlers.openvino_runtime import OpenVinoRuntime
names = dict(tensor_name="images", output_name="head")
OpenVinoRuntime(Path(sys.argv[1]), **names, precision="fp32", threads=1)
import openvino
assert hasattr(openvino, "Core")
print([name for name in sys.modules if "telemetry" in name or "tools.ovc" in name])
"""

    run = subprocess.run(
        [sys.executable, "-c", script, graph],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert run.stdout.strip() == "[]"


def test_a_signal_after_runtimes_were_dropped_is_handled(graph: Path) -> None:
    # Python's handlers run on the thread's stack for signals, which OpenVINO exchanges.
    script = """
import faulthandler, gc, os, signal, sys
from pathlib import Path
from handlers.openvino_runtime import OpenVinoRuntime
faulthandler.enable()
names = dict(tensor_name="images", output_name="head")
first, second = (
    OpenVinoRuntime(Path(sys.argv[1]), **names, precision="fp32", threads=1) for _ in range(2)
)
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGUSR1)
"""

    run = subprocess.run(
        [sys.executable, "-c", script, graph],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (run.returncode, run.stdout.strip()) == (0, "handled"), run.stderr
