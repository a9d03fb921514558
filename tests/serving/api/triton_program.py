"""What a stock client does: tritonclient, unchanged, in an environment of its own.

Run as `python triton_program.py HTTP_ADDRESS GRPC_ADDRESS IMAGE`, the key in $KEY; writes what it
was told as one JSON object. Imports nothing of ours.
"""

import base64
import json
import os
import queue
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

MODEL = "solo"
OUTPUTS = ("boxes", "scores", "class_ids", "labels", "counts")
WAIT_S = 30


def headers() -> dict[str, str]:
    """Return a new dictionary: over HTTP the client leaves the length of its JSON in it."""
    return {"authorization": f"Bearer {os.environ['KEY']}"}


def image_input(kind: Any, images: list[bytes], name: str = "image", **form: bool) -> Any:
    tensor = kind.InferInput(name, [len(images)], "BYTES")
    tensor.set_data_from_numpy(np.array(images, dtype=np.object_), **form)
    return tensor


def told(result: Any) -> dict[str, Any]:
    """Return a result's tensors and parameters."""
    values = {name: result.as_numpy(name) for name in OUTPUTS}
    shapes = {name: list(value.shape) for name, value in values.items()}
    labels = [one.decode() if isinstance(one, bytes) else one for one in values["labels"]]
    lists = {name: value.tolist() for name, value in values.items() if name != "labels"}
    types = {name: str(value.dtype) for name, value in values.items()}
    return {**lists, "labels": labels, "shapes": shapes, "types": types}


def refusal(call: Any) -> str:
    try:
        call()
    except InferenceServerException as error:
        return f"{error.status()}: {error.message()}"
    return "answered"


def answers(kind: Any, client: Any, image: bytes) -> dict[str, Any]:
    """Ask what both ways in can be asked alike."""

    def infer(images: list[bytes], model: str = MODEL, **options: Any) -> Any:
        return client.infer(model, [image_input(kind, images)], headers=headers(), **options)

    options = {"request_id": "job-1", "parameters": {"camera_id": "gate-7", "min_score": 0.85}}
    chosen = [kind.InferRequestedOutput("counts")]
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(MODEL),
        "other_ready": client.is_model_ready("nobody"),
        "one": told(infer([image])),
        "three": told(infer([image] * 3)),
        "few": told(infer([image], **options)),
        "counts": infer([image] * 2, outputs=chosen).as_numpy("counts").tolist(),
        "in_time": told(infer([image], timeout=20_000_000)),
        "no_image": refusal(lambda: infer([b"hello"])),
        "no_model": refusal(lambda: infer([image], model="nobody")),
        "no_parameter": refusal(lambda: infer([image], parameters={"camera": "a"})),
        "no_camera": refusal(lambda: infer([image], model="default")),
        "wrong_input": refusal(
            lambda: client.infer(MODEL, [image_input(kind, [image], "picture")], headers=headers())
        ),
        "load": refusal(lambda: client.load_model(MODEL, headers=headers())),
        "no_key": refusal(lambda: client.infer(MODEL, [image_input(kind, [image])])),
    }


def over_http(address: str, image: bytes) -> dict[str, Any]:
    kind = tritonclient.http
    # One connection more than is asked at once: an answer keeps its own until its body is fetched.
    with kind.InferenceServerClient(address, concurrency=5, network_timeout=WAIT_S) as client:
        text = image_input(kind, [base64.b64encode(image)], binary_data=False)
        plain = [kind.InferRequestedOutput(name, binary_data=False) for name in OUTPUTS]
        waiting = [
            client.async_infer(MODEL, [image_input(kind, [image])], headers=headers())
            for _ in range(4)
        ]
        answer = client.infer(MODEL, [text], outputs=plain, request_id="job-1", headers=headers())
        return answers(kind, client, image) | {
            "json": told(answer),
            "said": answer.get_response(),
            "async": [told(one.get_result(timeout=WAIT_S)) for one in waiting],
            "server": client.get_server_metadata(headers=headers()),
            "model": client.get_model_metadata(MODEL, headers=headers()),
            "index": client.get_model_repository_index(headers=headers()),
        }


def over_grpc(address: str, image: bytes) -> dict[str, Any]:
    kind = tritonclient.grpc
    came: queue.Queue[Any] = queue.Queue()
    with kind.InferenceServerClient(address) as client:
        for _ in range(4):
            client.async_infer(
                MODEL,
                [image_input(kind, [image])],
                callback=lambda result, error: came.put(error or result),
                headers=headers(),
            )
        answer = client.infer(MODEL, [image_input(kind, [image])], headers=headers())
        index = client.get_model_repository_index(headers=headers(), as_json=True)
        return answers(kind, client, image) | {
            "said": answer.get_response(as_json=True),
            "async": [told(came.get(timeout=WAIT_S)) for _ in range(4)],
            "server": client.get_server_metadata(headers=headers(), as_json=True),
            "model": client.get_model_metadata(MODEL, headers=headers(), as_json=True),
            "index": index["models"],
        }


def main() -> None:
    http_address, grpc_address, image_file = sys.argv[1:]
    image = Path(image_file).read_bytes()
    said = {"http": over_http(http_address, image), "grpc": over_grpc(grpc_address, image)}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
