"""Inputs that a fuzzer found worth keeping: tried in the code itself, then sent to real servers."""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from deployment import Deployment
from encoded_images import bombs, in_a_damaged_animation, in_scans, with_packed_texts
from fuzz.fuzzing import MOST_GROWTH, SHORT, Result, fuzz
from fuzz.inputs import messages, posted, v2_posted
from google.protobuf.message import DecodeError

from proto.open_inference.v2 import inference_pb2 as oip
from proto.open_inference.v2 import inference_pb2_grpc
from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc
from serving.api.v2_json import HEADER_LENGTH

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None,
        reason="atheris has no wheel for this machine",
    ),
]

SEED = 1
MOST_SENT = 60
REFUSED = {400, 403, 404, 413, 415, 429}
FAULTS = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}


@dataclass(frozen=True)
class Fuzzed:
    """What the short runs came to.

    Attributes:
        results: By target.
        folder: Of the runs.
    """

    results: dict[str, Result]
    folder: Path

    def kept(self, target: str) -> list[bytes]:
        """Return inputs that reached something new, the rarest first."""
        files = sorted((self.folder / target / "corpus").iterdir())
        return [file.read_bytes() for file in files[:MOST_SENT]]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Fuzzed:
    folder = tmp_path_factory.mktemp("fuzz")
    results = {
        target: fuzz(target, runs, folder / target, seed=SEED) for target, runs in SHORT.items()
    }
    return Fuzzed(results, folder)


@pytest.fixture
def unharmed(served: Deployment, image: bytes) -> Iterator[None]:
    """Check that a good frame is answered afterwards, by the same processes as before."""
    before = processes(served)
    yield
    for model in ("student", "teacher"):
        good = served.detect(image, arm=model, camera_id="gate-7")
        assert good.status_code == 200, good.text
        assert good.json()["detections"]
    assert processes(served) == before


def processes(served: Deployment) -> dict[str, set[int]]:
    """Return the worker processes of each release, and all others, by their ids."""
    found = {
        f"workers of {one['release']}": set(one["worker_pids"])
        for one in served.admin("GET", "/status")["running"]
    }
    others = {name: {process.pid} for name, process in served.processes().items() if process.pid}
    return found | others


@pytest.mark.parametrize("target", SHORT)
def test_nothing_gets_past_the_rules_and_memory_is_flat(fuzzed: Fuzzed, target: str) -> None:
    result = fuzzed.results[target]

    assert not result.failed, result.failed
    assert not result.crashes
    assert result.cases == SHORT[target]
    assert result.kept > 5
    assert result.growth <= MOST_GROWTH


@pytest.mark.usefixtures("unharmed")
def test_pictures_harm_no_worker(fuzzed: Fuzzed, served: Deployment) -> None:
    heavy = [in_scans(30_000, side_px=7000), with_packed_texts(700, 7_900_000)]
    known = [*heavy, *bombs().values(), in_a_damaged_animation()]

    for picture in [*known, *fuzzed.kept("images")]:
        reply = served.detect(picture, route="solo")

        assert reply.status_code in {200, 400, 413}, reply.text


@pytest.mark.usefixtures("unharmed")
def test_bodies_are_answered_or_refused(fuzzed: Fuzzed, served: Deployment) -> None:
    with httpx.Client(base_url=served.addresses.http_url, headers=served.bearer) as client:
        for kept in fuzzed.kept("multipart"):
            query, media_type, body = posted(kept)
            reply = client.post(
                f"/v1/detect?{query.decode()}",
                content=body,
                headers={b"Content-Type": media_type} if media_type else {},
            )
            assert reply.status_code in {200, *REFUSED}, (kept, reply.text)
        for kept in fuzzed.kept("v2_json"):
            length, body = v2_posted(kept)
            reply = client.post(
                "/v2/models/solo/infer",
                content=body,
                headers={HEADER_LENGTH.encode(): length} if length else {},
            )
            in_time = b'"timeout"' not in kept  # microseconds, of the request's own choice
            expected = {200, *REFUSED} if in_time else {200, 504, *REFUSED}
            assert reply.status_code in expected, (kept, reply.text)


@pytest.mark.usefixtures("unharmed")
def test_messages_are_answered_or_refused(fuzzed: Fuzzed, served: Deployment) -> None:
    with grpc.insecure_channel(served.addresses.grpc_address) as channel:
        infer = inference_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer
        for request in map(v2_message, fuzzed.kept("v2_messages")):
            code, details = ended(infer.future(request, **asked(served)).result)
            assert code not in FAULTS, (request, details)
            assert details != "Deadline Exceeded"  # our own words for a hang


@pytest.mark.usefixtures("unharmed")
def test_streams_are_answered_or_ended(fuzzed: Fuzzed, served: Deployment) -> None:
    with grpc.insecure_channel(served.addresses.grpc_address) as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        for kept in fuzzed.kept("stream"):
            sent = [wire.DetectRequest.FromString(one) for one in messages(kept)]
            answers: list[wire.DetectResponse] = []
            stream = stub.DetectStream(iter(sent), **asked(served))
            code, details = ended(partial(answers.extend, stream))
            assert code not in FAULTS, (sent, details)
            assert "internal" not in {answer.error.code for answer in answers}


def asked(served: Deployment) -> dict[str, Any]:
    return {"metadata": (("authorization", served.bearer["Authorization"]),), "timeout": 20}


def ended(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def v2_message(kept: bytes) -> oip.ModelInferRequest:
    """Return a message; of what is none, gRPC makes a fault before anything of ours sees it."""
    try:
        return oip.ModelInferRequest.FromString(kept)
    except DecodeError:
        return oip.ModelInferRequest()
