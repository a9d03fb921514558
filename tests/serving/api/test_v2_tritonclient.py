"""A stock V2 client against a whole deployment; `make tritonclient` makes its environment."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from deployment import REPOSITORY, Deployment

pytestmark = pytest.mark.slow

PYTHON = REPOSITORY / ".venv-tritonclient" / "bin" / "python"
PROGRAM = Path(__file__).with_name("triton_program.py")
WAYS = ("http", "grpc")


@pytest.fixture(scope="module")
def told(
    served: Deployment, image: bytes, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What tritonclient was told, over HTTP and gRPC."""
    assert PYTHON.exists(), "no environment for tritonclient: run `make tritonclient`"
    file = tmp_path_factory.mktemp("triton") / "frame.jpg"
    file.write_bytes(image)
    addresses = served.addresses
    http = addresses.http_url.removeprefix("http://")
    # Nothing of ours is on its path.
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    run = subprocess.run(
        [PYTHON, PROGRAM, http, addresses.grpc_address, file],
        env=environment | {"KEY": served.key_of("detect", "tritonclient")[1]},
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    said: dict[str, Any] = json.loads(run.stdout)
    return said


@pytest.fixture(scope="module")
def own(served: Deployment, image: bytes) -> list[dict[str, Any]]:
    """Our own API's detections of the same frame."""
    found: list[dict[str, Any]] = served.detect(image, route="solo").json()["detections"]
    assert len(found) == 2
    return found


def agrees(tensors: dict[str, Any], own: list[dict[str, Any]]) -> None:
    boxes = [[one["box"][side] for side in ("x1", "y1", "x2", "y2")] for one in own]
    assert tensors["boxes"] == [pytest.approx(box, rel=1e-6) for box in boxes]
    assert tensors["scores"] == pytest.approx([one["score"] for one in own], rel=1e-6)
    assert tensors["class_ids"] == [one["classId"] for one in own]
    assert tensors["labels"] == [one["label"] for one in own]


@pytest.mark.parametrize("way", WAYS)
def test_health_and_metadata(told: dict[str, Any], way: str) -> None:
    said = told[way]

    assert (said["live"], said["ready"], said["model_ready"]) == (True, True, True)
    assert said["other_ready"] is False
    assert said["server"]["name"] == "understudy"
    assert "binary_tensor_data" in said["server"]["extensions"]
    assert said["model"]["versions"] == ["student-1.0"]
    assert [one["name"] for one in said["model"]["inputs"]] == ["image"]
    assert {one["name"]: one["datatype"] for one in said["model"]["outputs"]} == {
        "boxes": "FP32",
        "scores": "FP32",
        "class_ids": "INT32",
        "labels": "BYTES",
        "counts": "INT32",
    }
    assert {(one["name"], one["version"], one["state"]) for one in said["index"]} == {
        ("default", "teacher-1.0", "READY"),
        ("default", "student-1.0", "READY"),
        ("solo", "student-1.0", "READY"),
    }


@pytest.mark.parametrize("way", WAYS)
def test_it_finds_what_our_own_api_finds(
    told: dict[str, Any], own: list[dict[str, Any]], way: str
) -> None:
    said = told[way]

    for tensors in (said["one"], said["in_time"], *said["async"]):
        agrees(tensors, own)
        assert tensors["counts"] == [2]
    assert said["one"]["shapes"]["boxes"] == [2, 4]
    assert said["one"]["types"] == {
        "boxes": "float32",
        "scores": "float32",
        "class_ids": "int32",
        "labels": "object",
        "counts": "int32",
    }


@pytest.mark.parametrize("way", WAYS)
def test_many_images_and_parameters(
    told: dict[str, Any], own: list[dict[str, Any]], way: str
) -> None:
    said = told[way]

    agrees(said["three"], own * 3)
    assert said["three"]["counts"] == [2, 2, 2]
    agrees(said["few"], own[:1])
    assert said["counts"] == [2, 2]


def test_json_in_and_out(told: dict[str, Any], own: list[dict[str, Any]]) -> None:
    agrees(told["http"]["json"], own)
    assert told["http"]["said"]["id"] == "job-1"


def test_the_answer_says_who_answered(told: dict[str, Any]) -> None:
    over_http, over_grpc = (told[way]["said"] for way in WAYS)

    assert over_http["model_version"] == over_grpc["model_version"] == "student-1.0"
    assert over_http["parameters"]["arm"] == "student"
    assert over_http["parameters"]["variant"] == "onnxruntime-fp32"
    assert over_grpc["parameters"]["arm"]["string_param"] == "student"


@pytest.mark.parametrize("way", WAYS)
def test_what_is_wrong_is_told(told: dict[str, Any], way: str) -> None:
    said = told[way]
    invalid, unknown, keyless = {
        "http": ("400", "404", "401"),
        "grpc": (
            "StatusCode.INVALID_ARGUMENT",
            "StatusCode.NOT_FOUND",
            "StatusCode.UNAUTHENTICATED",
        ),
    }[way]

    for case, status, words in (
        ("no_image", invalid, "image"),
        ("no_model", unknown, "no route 'nobody'"),
        ("no_parameter", invalid, "'camera' is not one"),
        ("no_camera", invalid, "camera_id: empty"),
        ("wrong_input", invalid, "no input 'picture' here"),
        ("load", invalid, "understudy deploy"),
        ("no_key", keyless, "no API key"),
    ):
        assert said[case].startswith(f"{status}: "), (case, said[case])
        assert words in said[case], (case, said[case])
