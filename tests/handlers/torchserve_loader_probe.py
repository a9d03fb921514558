"""Load an archive's handler with TorchServe's own loader, as its worker does, and use it.

Runs in a process of its own: `PYTHON torchserve_loader_probe.py ARCHIVE_FOLDER` reads a JSON list
of requests (a base64 body and headers) from standard input and writes what came back as JSON.
"""

import base64
import json
import struct
import sys
from pathlib import Path

import ts
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.model_loader import ModelLoaderFactory
from ts.service import Service


def main() -> None:
    """Load, predict, report."""
    folder = sys.argv[1]
    service = load(folder)
    requests = json.load(sys.stdin)
    response = service.predict([wire_form(n, request) for n, request in enumerate(requests)])
    report = {
        "code_from": sys.modules["handlers.pipeline"].__file__,
        "items": items(bytes(response)),
    }
    sys.stdout.write(json.dumps(report))


def load(folder: str) -> Service:
    """Load the archive in `folder` as `ts.model_service_worker` does."""
    metrics = MetricsCacheYamlImpl(
        config_file_path=str(Path(ts.__file__).parent / "configs" / "metrics.yaml")
    )
    metrics.initialize_cache()
    metrics.model_name = "cells"
    service = ModelLoaderFactory.get_model_loader().load(
        "cells", folder, "detection_handler.py", None, 8, None, True, metrics
    )
    service.set_cl_socket(None)
    return service


def wire_form(number: int, request: dict[str, str]) -> dict[str, object]:
    """Return the request as TorchServe's protocol reader gives it."""
    body = {
        "name": "body",
        "contentType": "application/octet-stream",
        "value": bytearray(base64.b64decode(request.pop("body"))),
    }
    headers = [
        {"name": bytearray(name.encode()), "value": bytearray(value.encode())}
        for name, value in request.items()
    ]
    return {"requestId": str(number).encode(), "headers": headers, "parameters": [body]}


def items(response: bytes) -> list[dict[str, object]]:
    """Read TorchServe's response message: see `ts.protocol.otf_message_handler`."""
    at = 4  # the batch's own code

    def integer() -> int:
        nonlocal at
        at += 4
        return struct.unpack("!i", response[at - 4 : at])[0]

    def text() -> str:
        nonlocal at
        length = integer()
        at += length
        return response[at - length : at].decode()

    found = [{"message": text()}]
    while at < len(response) and (size := integer()) != -1:
        at += size  # the request's id
        item: dict[str, object] = {"type": text(), "status": integer(), "phrase": text()}
        for _ in range(integer()):
            text(), text()
        item["body"] = text()
        found.append(item)
    return found[1:]


if __name__ == "__main__":
    main()
