"""Archives of several variants to choose from: some slow, some wrong, one that no card lists."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tiny_detectors import CELL, SIDE, card_document, cell_boxes, picture

TOLERANCE = {"min_iou": 0.9, "max_score_difference": 0.01, "min_f1": 0.99}
RED = picture(red=(8, 8, 16, 16))
BLUE = picture(blue=(32, 0, 40, 8), red=(0, 48, 8, 56))


def variant(name: str, file: str, **changes: Any) -> dict[str, Any]:
    """Return a variant of a card document."""
    runtime, precision = name.split("-")
    values = {"name": name, "runtime": runtime, "precision": precision, "file": file}
    return values | {"tolerance": TOLERANCE} | changes


def write_archive(folder: Path, variants: list[dict[str, Any]], **changes: Any) -> Path:
    """Write card.json with golden frames, and `right.onnx`, `slow.onnx` and `wrong.onnx`.

    The slow graph answers as the right one, after some products that nothing needs; the wrong one
    has every box a cell further to the right.
    """
    (folder / "golden").mkdir(parents=True)
    (folder / "golden" / "1.png").write_bytes(RED)
    (folder / "golden" / "2.png").write_bytes(BLUE)
    frames = [
        {"file": "golden/1.png", "detections": [detection(8, 8, 0)]},
        {"file": "golden/2.png", "detections": [detection(32, 0, 2), detection(0, 48, 0)]},
    ]
    document = card_document(variants=variants, golden_frames=frames) | changes
    (folder / "card.json").write_text(json.dumps(document), encoding="utf-8")
    onnx.save(cells(), str(folder / "right.onnx"))
    onnx.save(cells(products=24), str(folder / "slow.onnx"))
    onnx.save(cells(shift_px=CELL), str(folder / "wrong.onnx"))
    return folder


def detection(x1: float, y1: float, class_id: int) -> dict[str, Any]:
    """Return a golden detection: one cell, sure."""
    corners = {"x1": x1, "y1": y1, "x2": x1 + CELL, "y2": y1 + CELL}
    return corners | {"class_id": class_id, "score": 1.0}


def cells(*, products: int = 0, shift_px: float = 0) -> onnx.ModelProto:
    """Return the detector of `tiny_detectors`: its boxes shifted, after so many idle products."""
    boxes = cell_boxes()[np.newaxis].copy()
    boxes[:, 0] += shift_px
    side = 256
    idle = np.full((side, side), 1 / side, np.float32)  # a product with it is a mean
    constants = {
        "boxes": boxes,
        "flat": np.array([0, 3, -1], np.int64),
        "nought": np.zeros((1, 1, 1), np.float32),
        "red": np.array([0], np.int64),
        "idle": idle,
        "square": np.array([0, 48, side], np.int64),
        "first": np.array([0], np.int64),
    }
    nodes = [
        helper.make_node(
            "AveragePool", ["images"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]
        ),
        helper.make_node("Reshape", ["pooled", "flat"], ["scores"]),
        helper.make_node("Gather", ["scores", "red"], ["reds"], axis=1),
        helper.make_node("Reshape", ["images", "square"], ["product0"]),
    ]
    nodes += [
        helper.make_node("MatMul", [f"product{place}", "idle"], [f"product{place + 1}"])
        for place in range(products)
    ]
    nodes += [
        helper.make_node("ReduceMean", [f"product{products}"], ["mean"], axes=[1, 2], keepdims=1),
        helper.make_node("Add", ["reds", "mean"], ["summed"]),
        helper.make_node("Mul", ["summed", "nought"], ["blank"]),
        helper.make_node("Add", ["boxes", "blank"], ["tiled"]),
        helper.make_node("Concat", ["tiled", "scores"], ["output0"], axis=1),
    ]
    taken = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    given = helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", 7, "anchors"])
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "cells", [taken], [given], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model
