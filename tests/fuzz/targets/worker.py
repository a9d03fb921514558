"""A batch in a worker: whatever an item is, its batch-mates are answered."""

import json
import os
import tempfile
from itertools import cycle
from pathlib import Path

from encoded_images import in_every_format
from tiny_detectors import picture, write_archive_parts

from handlers.detection_handler import DetectionHandler

MAX_BYTES = 4096
_HEADERS = ("", "X-Min-Score", "X-Max-Detections", "X-Deadline-Unix-Ms", "x-min-score", "Other")
_FIELDS = ("", "body", "data", "min_score", "max_detections", "other")
_GOOD = picture(red=(8, 8, 16, 16))
_STATUSES = {200, 400, 413, 504}


class Context:
    """As much of TorchServe's context as the handler asks for."""

    def __init__(self, folder: Path) -> None:
        self.system_properties = {"model_dir": str(folder), "gpu_id": None, "batch_size": 4}
        self.headers: list[dict[str, str]] = []
        self.statuses: dict[int, int] = {}

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        return self.headers[idx]

    def set_response_status(self, code: int, phrase: str, idx: int) -> None:
        self.statuses[idx] = code

    def set_response_content_type(self, idx: int, value: str) -> None:
        assert value == "application/json"


def _started() -> tuple[DetectionHandler, Context]:
    os.environ |= {"UNDERSTUDY_VARIANT": "onnxruntime-fp32", "UNDERSTUDY_THREADS": "1"}
    context = Context(write_archive_parts(Path(tempfile.mkdtemp(prefix="fuzz-worker-"))))
    handler = DetectionHandler()
    handler.initialize(context)
    return handler, context


_handler, _context = _started()


def seeds() -> list[bytes]:
    """Pictures, each behind one of the options that callers send."""
    images = [*in_every_format().values(), b"", b"no image"]
    options = [b"0.5", b"1e-400", b"nan", b"9" * 200, b"-1", b"17", b"\xff\xfe", b""]
    return [
        bytes([number, number // 2, len(option)]) + option + image
        for number, (image, option) in enumerate(zip(images, cycle(options), strict=False))
    ]


def one(data: bytes) -> None:
    """Answer a good frame, the odd one, and a good frame in one batch."""
    odd, headers = _item(data)
    _context.headers, _context.statuses = [{}, headers, {}], {}

    before, answer, after = map(
        json.loads, _handler.handle([{"body": _GOOD}, odd, {"body": _GOOD}], _context)
    )

    status = _context.statuses.pop(1, 200)
    assert not _context.statuses, _context.statuses
    assert before["boxes"] == after["boxes"] == [8, 8, 16, 16]
    assert status in _STATUSES
    assert ("error" in answer) == (status != 200)


def _item(data: bytes) -> tuple[dict[str, object], dict[str, str]]:
    """Read which header and which field have the option, its length, the option, the picture."""
    which, kind, length = data[:3].ljust(3, b"\0")
    option, image = data[3 : 3 + length], data[3 + length :]
    text = option.decode("utf-8", "replace")
    item: dict[str, object] = {"body": image}
    field = _FIELDS[kind % len(_FIELDS)]
    if field in {"body", "data"}:
        item = {field: image if kind < 128 else text}
    elif field:
        item[field] = option if kind < 128 else text
    header = _HEADERS[which % len(_HEADERS)]
    return item, {header: text} if header else {}
