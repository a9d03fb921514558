"""An exported detector, ONNX or TorchScript: what is left of a model whose code is gone.

Legacy YOLOv5 checkpoints pickle classes of a repository that nobody should have to install; its own
`export.py --include onnx torchscript` makes of them files that need none of them.
"""

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from distill_jobs.checkpoints import digest
from distill_jobs.errors import CheckpointRefused
from distill_jobs.fitting import fit
from distill_jobs.training.teachers.found import Found, Selection, SourceImage, identity
from distill_jobs.training.teachers.torchscript_file import read_torchscript
from handlers.errors import RuntimeFailed
from handlers.onnx_runtime import OnnxRuntime
from handlers.runtimes import Runtime
from handlers.torchscript_runtime import TorchScriptRuntime

Layout = Literal["yolov5", "yolov8"]


@dataclass(frozen=True)
class Exported:
    """An exported detector, loaded.

    Attributes:
        file: Where it came from.
        runtime: Runs it.
        layout: Of its output: "yolov5" [1, A, 5 + C] with objectness, "yolov8" [1, 4 + C, A].
        class_names: Index = class id; None where neither the file nor the job file says them.
        image_size: Side of its square input, pixels; None where the file does not fix it.
    """

    file: Path
    runtime: Runtime
    layout: Layout
    class_names: tuple[str, ...] | None
    image_size: int | None


def load_onnx(file: Path, layout: Layout) -> Exported:
    """Load an ONNX graph with one float32 image input.

    Raises:
        CheckpointRefused: It is missing, damaged, or takes something else.
    """
    import onnx  # noqa: PLC0415  # heavy

    _require(file)
    try:
        # Its weights may lie in files beside it; the engine reads them itself.
        model = onnx.load(str(file), load_external_data=False)
    except Exception as error:  # protobuf's own errors
        raise CheckpointRefused(file, "not a readable ONNX file") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [tensor for tensor in model.graph.input if tensor.name not in weights]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise CheckpointRefused(
            file, "must take one float32 image tensor: export it without --half and without NMS"
        )
    names = {entry.key: entry.value for entry in model.metadata_props}.get("names")
    side = inputs[0].type.tensor_type.shape.dim[-1].dim_value or None
    runtime = _loaded(
        file,
        lambda: OnnxRuntime(
            file,
            tensor_name=inputs[0].name,
            output_name=model.graph.output[0].name,
            threads=None,
        ),
    )
    return Exported(file, runtime, layout, _names(names), side)


def load_torchscript(file: Path, layout: Layout) -> Exported:
    """Load a TorchScript archive; YOLOv5 and ultralytics leave its names in `config.txt`.

    Raises:
        CheckpointRefused: It is missing or damaged, or its program is more than that of a network.
    """
    _require(file)
    read = read_torchscript(file)
    config = _config(read.config)
    runtime = _loaded(file, lambda: TorchScriptRuntime(file, threads=None, content=read.content))
    side = _last(config.get("imgsz")) or _last(config.get("shape"))
    return Exported(file, runtime, layout, _names(config.get("names")), side)


class ExportedFinder:
    """Finished boxes of an exported detector.

    Args:
        exported: The detector.
        selection: How scores become boxes.
        image_size: Side of its square input, pixels.
    """

    def __init__(self, exported: Exported, selection: Selection, image_size: int) -> None:
        self._exported, self._selection, self._image_size = exported, selection, image_size
        self._identity = identity(
            teacher=digest(exported.file),
            layout=exported.layout,
            image_size=image_size,
            fit="letterbox",
            **selection.parts,
        )

    @property
    def identity(self) -> str:
        """Hex digest of all that its answers depend on but the image."""
        return self._identity

    def find(self, image: SourceImage) -> Found:
        """Find the objects of an image.

        Raises:
            CheckpointRefused: Its output does not have the declared layout.
        """
        tensor, geometry = fit(image.read(), self._image_size)
        try:
            output = self._exported.runtime.run(tensor[np.newaxis])
        except Exception as error:  # each engine's own
            raise CheckpointRefused(
                self._exported.file,
                f"does not run on an input of {self._image_size} px: "
                f"{_first_line(error)}. Give its `image_size:`",
            ) from error
        return self._selection.from_dense(self._dense(output), geometry)

    def _dense(self, output: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return [4 + C, A], scores with the objectness multiplied in."""
        classes = len(self._selection.class_map.targets)
        old = self._exported.layout == "yolov5"
        wanted = 5 + classes if old else 4 + classes
        found = output.shape[-1 if old else 1] if output.ndim == 3 else None
        if found != wanted:
            expected = f"[1, A, {wanted}]" if old else f"[1, {wanted}, A]"
            raise CheckpointRefused(
                self._exported.file,
                f"answers with shape {list(output.shape)}, but `layout: {self._exported.layout}` "
                f"with {classes} classes means {expected}",
            )
        if not old:
            dense: NDArray[np.float32] = output[0]
            return dense
        rows = output[0].T
        return np.concatenate((rows[:4], rows[5:] * rows[4:5]))


def _require(file: Path) -> None:
    if not file.is_file():
        raise CheckpointRefused(file, "no such file")


def _loaded(file: Path, load: Any) -> Runtime:
    try:
        runtime: Runtime = load()
    except RuntimeFailed as error:
        raise CheckpointRefused(file, _first_line(error)) from error
    return runtime


def _config(text: str | bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _last(written: object) -> int | None:
    """Read the side of an input as exporters write it: a number, or [..., height, width]."""
    if isinstance(written, Sequence) and written:
        written = written[-1]
    return written if isinstance(written, int) else None


def _names(written: object) -> tuple[str, ...] | None:
    """Read class names as exporters write them: a list or a dict, or its `repr`."""
    if isinstance(written, str):
        try:
            written = ast.literal_eval(written)
        except (ValueError, SyntaxError, MemoryError, RecursionError):  # its own limits, too
            return None
    if isinstance(written, dict):
        by_id = {str(key): name for key, name in written.items()}
        written = [by_id.get(str(index)) for index in range(len(by_id))]
    if isinstance(written, Sequence) and written and all(isinstance(n, str) for n in written):
        return tuple(str(name) for name in written)
    return None


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
