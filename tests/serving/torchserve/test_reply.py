from pathlib import Path

import orjson
import pytest

from serving.errors import BadImage, DeadlineExceeded, ImageTooLarge, WorkerDied, WorkerFailed
from serving.store.values import ReleaseKey
from serving.torchserve.config import Ports, TorchServeConfig, environment, properties
from serving.torchserve.inference import WorkerReply, refusal

REPLY = {
    "v": 1,
    "width": 640,
    "height": 480,
    "boxes": [1.0, 2.0, 3.0, 4.0],
    "scores": [0.5],
    "classes": [2],
    "variant": "onnxruntime-fp32",
    "ms": {"decode": 1.0, "preprocess": 2.0, "inference": 3.0, "postprocess": 4.0},
    "batch": 2,
}


def test_a_reply_of_the_contract_is_read() -> None:
    reply = WorkerReply.parse(orjson.dumps(REPLY))
    assert reply == WorkerReply(
        640, 480, (1.0, 2.0, 3.0, 4.0), (0.5,), (2,), "onnxruntime-fp32", 1.0, 2.0, 3.0, 4.0, 2
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"Prediction failed",
        orjson.dumps(REPLY | {"v": 2}),
        orjson.dumps(REPLY | {"boxes": [1.0, 2.0]}),
        orjson.dumps(REPLY | {"scores": [0.5, 0.4]}),
        orjson.dumps(REPLY | {"classes": None}),
        orjson.dumps({key: value for key, value in REPLY.items() if key != "ms"}),
    ],
)
def test_a_reply_that_is_none_fails_the_frame(body: bytes) -> None:
    with pytest.raises(WorkerFailed):
        WorkerReply.parse(body)


def test_a_worker_s_own_fault_is_not_blamed_on_the_frame() -> None:
    said = {"v": 1, "error": {"code": "not_an_image", "message": "not a JPEG", "field": "image"}}
    key = ReleaseKey(model="student", version="1.0")
    assert isinstance(refusal(key, 400, said), BadImage)
    assert isinstance(refusal(key, 413, said), ImageTooLarge)
    assert isinstance(refusal(key, 500, said), WorkerFailed)


def test_who_is_late_and_whose_worker_died_is_told_apart() -> None:
    key = ReleaseKey(model="student", version="1.0")
    late = {"v": 1, "error": {"code": "deadline_exceeded", "message": "passed", "field": ""}}
    died = {"code": 500, "type": "InternalServerException", "message": "Worker died."}

    assert isinstance(refusal(key, 504, late), DeadlineExceeded)
    assert isinstance(refusal(key, 500, died), WorkerDied)
    assert isinstance(refusal(key, 503, died | {"message": "Prediction failed"}), WorkerFailed)


def test_workers_inherit_the_handler_s_settings_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UNDERSTUDY_VARIANT", "torchscript-fp32")
    monkeypatch.setenv("UNDERSTUDY_KEY", "us_a_b")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")

    seen = environment(TorchServeConfig(archives=tmp_path, folder=tmp_path), tmp_path)

    assert seen["UNDERSTUDY_VARIANT"] == "torchscript-fp32"
    assert "UNDERSTUDY_KEY" not in seen
    assert "elsewhere" not in seen["PYTHONPATH"]


def test_paths_survive_javas_properties_format() -> None:
    config = TorchServeConfig(archives=Path("/odd \\ näme"), folder=Path("/f"))
    text = properties(config, Ports(1, 2, 3, 4, 5))
    assert "model_store=/odd \\u005c n\\u00e4me\n" in text


def test_what_a_worker_says_of_its_own_fault_stays_in_our_log() -> None:
    key = ReleaseKey(model="student", version="1.0")
    said = {"message": "Traceback: /home/understudy/handlers/pipeline.py, token us_0_secret"}

    told = refusal(key, 503, said).message

    assert told == "a worker of student-1.0 failed with 503; the server's log says more"
