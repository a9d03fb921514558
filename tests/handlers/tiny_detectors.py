"""A detector small enough to reckon by hand, in both formats, with its card.

It looks at cells of 8 x 8 input pixels. Each cell is an anchor whose box is the cell and whose
three class scores are the means of its red, green and blue: a pure red cell is a sure find of
class 0.
"""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

SIDE, CELL = 64, 8
CLASSES = ("red", "green", "blue")
THRESHOLDS = (0.5, 0.6, 0.7)
RGB = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "black": (0, 0, 0)}


def card_document(**changes: Any) -> dict[str, Any]:
    """Return the card of its variants, its top-level fields replaced by `changes`."""
    document = {
        "schema_version": 1,
        "name": "cells",
        "version": "1.0",
        "role": "ROLE_STUDENT",
        "task": "TASK_DETECTION",
        "class_names": list(CLASSES),
        "input": {
            "width": SIDE,
            "height": SIDE,
            "letterbox_pad": 114,
            "letterbox_scale_up": True,
            "colour": "RGB",
            "scale": 1 / 255,
            "tensor_name": "images",
            "output_name": "output0",
            "opset": 17,
        },
        "head": {"kind": "HEAD_KIND_DENSE"},
        "post_processing": {
            "operating_thresholds": list(THRESHOLDS),
            "iou_threshold": 0.5,
            "max_detections": 300,
            "max_candidates": 30000,
        },
        "variants": [
            _variant("onnxruntime", "cells.onnx"),
            _variant("torchscript", "cells.torchscript"),
            _variant("openvino", "cells.onnx"),
        ],
    }
    return document | changes


def write_archive_parts(folder: Path) -> Path:
    """Write card.json and the weights of its variants into `folder`, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").write_text(json.dumps(card_document()), encoding="utf-8")
    onnx.save(_graph(), str(folder / "cells.onnx"))
    torch.jit.save(torch.jit.script(Cells()), str(folder / "cells.torchscript"))
    return folder


def cell_boxes() -> np.ndarray:
    """Return float32 [4, A]: cx, cy, w, h of each cell, row by row."""
    rows, columns = np.mgrid[0:SIDE:CELL, 0:SIDE:CELL].reshape(2, -1)
    sizes = np.full_like(rows, CELL)
    return np.stack([columns + CELL / 2, rows + CELL / 2, sizes, sizes]).astype(np.float32)


def picture(width: int = SIDE, height: int = SIDE, **patches: tuple[int, int, int, int]) -> bytes:
    """Return a black PNG with patches: the colour's name and its x1, y1, x2, y2 in pixels."""
    image = np.zeros((height, width, 3), np.uint8)
    for colour, (x1, y1, x2, y2) in patches.items():
        image[y1:y2, x1:x2] = RGB[colour]
    return encode(image, ".png")


def encode(image_rgb: np.ndarray, extension: str, *options: int) -> bytes:
    """Encode uint8 [H, W, 3], RGB, with OpenCV's `options`."""
    done, data = cv2.imencode(extension, image_rgb[..., ::-1], options)
    assert done
    return data.tobytes()


class Cells(torch.nn.Module):
    """The detector in PyTorch: float32 [N, 3, 64, 64] to ([N, 7, 64],)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("boxes", torch.from_numpy(cell_boxes()))
        self.pool = torch.nn.AvgPool2d(8)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        scores = self.pool(images).flatten(2)
        boxes = self.boxes.expand(len(images), -1, -1)
        return (torch.cat([boxes, scores], 1),)


def _graph() -> onnx.ModelProto:
    """The same detector as an ONNX graph of opset 17."""
    boxes = numpy_helper.from_array(cell_boxes()[np.newaxis], "boxes")
    flat = numpy_helper.from_array(np.array([0, 3, -1], np.int64), "flat")
    # The boxes plus nought times the red scores: so they spread over a batch of any size.
    nought = numpy_helper.from_array(np.zeros((1, 1, 1), np.float32), "nought")
    red = numpy_helper.from_array(np.array([0], np.int64), "red")
    nodes = [
        helper.make_node(
            "AveragePool", ["images"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]
        ),
        helper.make_node("Reshape", ["pooled", "flat"], ["scores"]),
        helper.make_node("Gather", ["scores", "red"], ["reds"], axis=1),
        helper.make_node("Mul", ["reds", "nought"], ["blank"]),
        helper.make_node("Add", ["boxes", "blank"], ["tiled"]),
        helper.make_node("Concat", ["tiled", "scores"], ["output0"], axis=1),
    ]
    taken = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    given = helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", 7, "anchors"])
    graph = helper.make_graph(nodes, "cells", [taken], [given], [boxes, flat, nought, red])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _variant(runtime: str, file: str) -> dict[str, Any]:
    return {
        "name": f"{runtime}-fp32",
        "runtime": runtime,
        "precision": "fp32",
        "file": file,
        "tolerance": {"min_iou": 0.9, "max_score_difference": 0.01, "min_f1": 0.99},
    }
