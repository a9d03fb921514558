import base64
import struct
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from v2_server import IMAGE_LIMIT, Served, route, serving_v2, table

from serving.store.values import Scope

NO_KEY = {"Authorization": ""}
LENGTH = "Inference-Header-Content-Length"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Served]:
    async with serving_v2() as opened:
        yield opened


def asked(*images: bytes, **parameters: Any) -> dict[str, Any]:
    data = [base64.b64encode(image).decode() for image in images]
    tensor = {"name": "image", "shape": [len(images)], "datatype": "BYTES", "data": data}
    return {"inputs": [tensor], "parameters": {"camera_id": "gate-7", **parameters}}


def binary(*images: bytes, **parameters: Any) -> tuple[bytes, dict[str, str]]:
    raw = b"".join(struct.pack("<I", len(image)) + image for image in images)
    body = asked(*images, **parameters)
    tensor = body["inputs"][0]
    del tensor["data"]
    tensor["parameters"] = {"binary_data_size": len(raw)}
    header = orjson.dumps(body)
    return header + raw, {LENGTH: str(len(header))}


def outputs(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    return {one["name"]: one["data"] for one in reply.json()["outputs"]}


async def infer(served: Served, body: Any, model: str = "solo", **options: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return await served.http.post(f"/v2/models/{model}/infer", content=content, **options)


async def test_one_image_is_answered_as_json(served: Served) -> None:
    reply = await infer(served, asked(b"xx", max_detections=2) | {"id": "job-1"})

    said = reply.json()
    assert (said["model_name"], said["model_version"], said["id"]) == (
        "solo",
        "student-1.0",
        "job-1",
    )
    assert said["parameters"] == {
        "arm": "student",
        "model": "student",
        "version": "1.0",
        "variant": "onnxruntime-fp32",
        "backend": "torchserve-0",
    }
    assert outputs(reply) == {
        "boxes": [0.1, 0, 10, 20.25, 1.1, 1, 11, 21.25],
        "scores": [0.9, 0.8],
        "class_ids": [0, 1],
        "labels": ["cell", "plate"],
        "counts": [2],
    }
    assert [one["shape"] for one in said["outputs"]] == [[2, 4], [2], [2], [2], [1]]
    assert reply.headers["X-Request-Id"]


async def test_many_images_are_answered_side_by_side_in_their_order(served: Served) -> None:
    served.answering.together = 3

    reply = await infer(served, asked(b"held", b"x", b"held", b"xxx", b"held"))

    assert outputs(reply)["counts"] == [0, 1, 0, 3, 0]
    assert len(outputs(reply)["scores"]) == 4


async def test_binary_data_in_and_out(served: Served) -> None:
    body, headers = binary(b"x", b"xxx", binary_data_output=True)

    reply = await infer(served, body, headers=headers)

    length = int(reply.headers[LENGTH])
    said, raw = orjson.loads(reply.content[:length]), reply.content[length:]
    sizes = {one["name"]: one["parameters"]["binary_data_size"] for one in said["outputs"]}
    assert sum(sizes.values()) == len(raw)
    assert sizes == {"boxes": 64, "scores": 16, "class_ids": 16, "labels": 33, "counts": 8}
    assert struct.unpack("<4f", raw[:16])[2:] == (10, 20.25)
    assert raw[-8:] == struct.pack("<2i", 1, 3)
    assert raw[96:104] == struct.pack("<I", 4) + b"cell"


async def test_outputs_are_chosen_each_with_its_form(served: Served) -> None:
    wanted = [
        {"name": "scores", "parameters": {"binary_data": True}},
        {"name": "counts", "parameters": {"binary_data": False}},
    ]

    reply = await infer(served, asked(b"x") | {"outputs": wanted})

    said = orjson.loads(reply.content[: int(reply.headers[LENGTH])])
    assert [one["name"] for one in said["outputs"]] == ["scores", "counts"]
    assert said["outputs"][1]["data"] == [1]
    assert reply.content[-4:] == struct.pack("<f", 0.9)


async def test_a_nested_shape_is_taken(served: Served) -> None:
    body = asked(b"x", b"xx")
    body["inputs"][0] |= {"shape": [2, 1], "data": [[one] for one in body["inputs"][0]["data"]]}

    assert outputs(await infer(served, body))["counts"] == [1, 2]


async def test_the_sooner_deadline_holds(served: Served) -> None:
    served.answering.calls.clear()
    await infer(served, asked(b"x", timeout=5_000_000), headers={"X-Timeout-Ms": "60000"})
    await infer(served, asked(b"x", timeout=60_000_000), headers={"X-Timeout-Ms": "5000"})
    await infer(served, asked(b"x", timeout=0))

    sooner, other, none = (call.deadline for call in served.answering.calls)
    assert sooner is not None
    assert 0 < sooner.remaining_s() <= 5
    assert other is not None
    assert 0 < other.remaining_s() <= 5
    assert none is None


async def test_headers_are_handed_on_for_routes_that_split_by_one(served: Served) -> None:
    await infer(served, asked(b"x"), headers={"X-Site": "north"})

    assert served.answering.calls[-1].headers["x-site"] == "north"


async def test_a_version_forces_its_arm(served: Served) -> None:
    path = "/v2/models/default/versions/student-1.0/infer"
    body = orjson.dumps(asked(b"x"))
    admin = {"Authorization": f"Bearer {served.keys[Scope.ADMIN]}"}

    refused = await served.http.post(path, content=body)
    answered = await served.http.post(path, content=body, headers=admin)
    unforced = await served.http.post(path.replace("default", "solo"), content=body)

    assert refused.status_code == 403
    assert answered.json()["model_version"] == "student-1.0"
    assert unforced.json()["parameters"]["arm"] == "student"


async def test_what_has_moved_on_is_not_answered_by_another_version() -> None:
    async with serving_v2() as served:
        served.answering.routes = table(route("solo", teacher=100))

        reply = await served.http.post(
            "/v2/models/solo/versions/student-1.0/infer", content=orjson.dumps(asked(b"x"))
        )

    assert reply.status_code == 503
    assert "teacher-1.0 answered, not student-1.0" in reply.json()["error"]


async def test_health_needs_no_key_and_everything_else_does(served: Served) -> None:
    get = partial(served.http.get, headers=NO_KEY)
    post = partial(served.http.post, headers=NO_KEY)
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/solo/ready"):
        assert (await get(path)).status_code == 200, path
    assert (await get("/v2/models/nobody/ready")).status_code == 400
    closed = [
        await get("/v2"),
        await get("/v2/"),
        await get("/v2/models/solo"),
        await post("/v2/repository/index"),
        await post("/v2/repository/models/solo/load"),
        await post("/v2/models/solo/infer", content=b"\xff" * 100),
    ]
    for reply in closed:
        assert reply.status_code == 401
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert "no API key" in reply.json()["error"]


async def test_metadata(served: Served) -> None:
    server = (await served.http.get("/v2")).json()
    model = (await served.http.get("/v2/models/default")).json()
    one = (await served.http.get("/v2/models/default/versions/student-1.0")).json()

    assert server["name"] == "understudy"
    assert "binary_tensor_data" in server["extensions"]
    assert model["versions"] == ["teacher-1.0", "student-1.0"]
    assert model["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert [one["name"] for one in model["outputs"]] == [
        "boxes",
        "scores",
        "class_ids",
        "labels",
        "counts",
    ]
    assert one["versions"] == ["student-1.0"]


async def test_the_repository_is_listed_and_closed(served: Served) -> None:
    listed = await served.http.post("/v2/repository/index")
    refused = await served.http.post("/v2/repository/models/solo/unload", json={})

    assert [(one["name"], one["version"], one["state"]) for one in listed.json()] == [
        ("default", "teacher-1.0", "READY"),
        ("default", "student-1.0", "READY"),
        ("solo", "student-1.0", "READY"),
        ("solo", "teacher-1.0", "READY"),
    ]
    assert refused.status_code == 400
    assert "understudy deploy" in refused.json()["error"]


async def test_nothing_is_ready_while_the_gateway_is_not() -> None:
    async with serving_v2(reason="TorchServe is not answering") as served:
        ready = await served.http.get("/v2/health/ready")
        model = await served.http.get("/v2/models/solo/ready")
        index = await served.http.post("/v2/repository/index", json={"ready": True})
        live = await served.http.get("/v2/health/live")

    assert (ready.status_code, ready.json()) == (400, {"ready": False})
    assert (model.status_code, model.json()) == (400, {"name": "solo", "ready": False})
    assert index.json() == []
    assert live.status_code == 200


WRONG: dict[str, tuple[Any, int, str]] = {
    "not JSON": (b"{", 400, "body: not readable as JSON"),
    "not an object": (b"[]", 400, "body: not a JSON object"),
    "no input": ({"inputs": []}, 400, "0 of them; send one, named 'image'"),
    "two inputs": ({"inputs": asked(b"x")["inputs"] * 2}, 400, "inputs: 2 of them"),
    "unknown parameter": (asked(b"x", camera="a"), 400, "'camera' is not one; there are camera_id"),
    "camera not text": (asked(b"x", camera_id=7), 400, "camera_id: 7 is not a string"),
    "bad camera": (asked(b"x", camera_id="gate 7"), 400, "more than visible ASCII"),
    "score not a number": (asked(b"x", min_score=True), 400, "min_score: True is not a number"),
    "low score": (asked(b"x", min_score=0), 400, "min_score: 0 is not within 0.001 to 1"),
    "huge score": (asked(b"x", min_score=1e300), 400, "min_score: inf is not within"),
    "no detections": (asked(b"x", max_detections=0), 400, "0 is not within 1 to 1000"),
    "many detections": (asked(b"x", max_detections=-1), 400, "-1 is not within 1 to 1000"),
    "half a detection": (asked(b"x", max_detections=1.5), 400, "1.5 is not a whole number"),
    "long timeout": (asked(b"x", timeout=10**9), 400, "not within 1 to 120000000"),
    "forced arm": (asked(b"x", arm="student"), 403, "scope admin"),
    "no images": (asked(), 400, "image.shape: [0] must be [n] or [n, 1], with n from 1 to 16"),
    "too many images": (asked(*[b"x"] * 17), 400, "image.shape: [17] must be"),
    "empty image": (asked(b""), 400, "image: empty"),
    "bad image": (asked(b"bad"), 400, "image: not a JPEG"),
    "bad among good": (asked(b"x", b"bad"), 400, "image 1 of 0 to 1: image: not a JPEG"),
    "large image": (asked(b"x" * (IMAGE_LIMIT + 1)), 413, f"at most {IMAGE_LIMIT} are taken"),
    "large body": (b" " * (2 * IMAGE_LIMIT + (1 << 20)), 413, "send fewer images"),
    "unknown output": (asked(b"x") | {"outputs": [{"name": "masks"}]}, 400, "no output 'masks'"),
    "output twice": (asked(b"x") | {"outputs": [{"name": "boxes"}] * 2}, 400, "named twice"),
    "full": (asked(b"full"), 429, "student-1.0 is full"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_wrong_is_told(served: Served, name: str) -> None:
    body, status, says = WRONG[name]

    reply = await infer(served, body)

    assert (reply.status_code, list(reply.json())) == (status, ["error"]), reply.text
    assert says in reply.json()["error"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "picture"}, "no input 'picture' here, only 'image'"),
        ({"datatype": "UINT8"}, "'UINT8' must be BYTES"),
        ({"shape": [1, 1, 1]}, "[1, 1, 1] must be"),
        ({"shape": [2]}, "1 elements, and its shape says 2"),
        ({"shape": "1"}, "image.shape: [] must be"),
        ({"data": ["\u00e9"]}, "element 0 is not base64"),
        ({"data": "eA=="}, "image.data: not a list"),
        ({"data": [7]}, "element 0 is not base64"),
        ({"parameters": {"shared_memory_region": "r"}}, "'shared_memory_region' is not taken"),
        ({"parameters": {"binary_data_size": 5}}, "5 is not the 0 bytes behind the JSON"),
    ],
)
async def test_a_wrong_tensor_is_told(served: Served, change: dict[str, Any], says: str) -> None:
    body = asked(b"x")
    body["inputs"][0] |= change

    reply = await infer(served, body)

    assert reply.status_code == 400
    assert says in reply.json()["error"]


@pytest.mark.parametrize(
    ("tail", "length", "says"),
    [
        (b"", "abc", "'abc' is not a number of bytes within the body's"),
        (b"", "99999", "is not a number of bytes within"),
        (b"more", None, "not readable as JSON"),
        (b"\x01\x00\x00\x00x", "", "is not the 10 bytes behind the JSON"),
    ],
)
async def test_wrong_binary_data_is_told(
    served: Served, tail: bytes, length: str | None, says: str
) -> None:
    body, headers = binary(b"x")
    headers = {} if length is None else {LENGTH: length or headers[LENGTH]}

    reply = await infer(served, body + tail, headers=headers)

    assert reply.status_code == 400
    assert says in reply.json()["error"]


async def test_a_compressed_body_is_refused(served: Served) -> None:
    reply = await infer(served, asked(b"x"), headers={"Content-Encoding": "gzip"})

    assert reply.status_code == 400
    assert "compressed already" in reply.json()["error"]


async def test_a_full_release_says_when_to_come_again(served: Served) -> None:
    assert (await infer(served, asked(b"full"))).headers["Retry-After"] == "2"


async def test_images_beyond_the_budget_are_refused_and_given_back() -> None:
    async with serving_v2(budget_bytes=100) as served:
        refused = await infer(served, asked(b"x" * 1000))

        assert refused.status_code == 429
        assert served.budget.held_bytes == 0


async def test_a_bug_tells_nothing_and_is_logged(served: Served) -> None:
    with capture_logs() as logs:
        reply = await infer(served, asked(b"broken"), headers={"X-Request-Id": "job-17"})

    assert reply.status_code == 500
    assert "hunter2" not in reply.text
    assert [entry["request_id"] for entry in logs] == ["job-17"]


async def test_what_is_not_there_answers_in_the_same_shape(served: Served) -> None:
    gone = await served.http.get("/v2/models/solo/config")
    wrong = await served.http.get("/v2/models/solo/infer")
    unknown = await infer(served, asked(b"x"), model="nobody")

    assert (gone.status_code, wrong.status_code, unknown.status_code) == (404, 405, 404)
    assert gone.json() == {"error": "GET /v2/models/solo/config: Not Found"}
    assert wrong.headers["Allow"] == "POST"
    assert "no route 'nobody'" in unknown.json()["error"]


async def test_answers_are_counted() -> None:
    async with serving_v2() as served:
        await infer(served, asked(b"x"))
        await infer(served, asked(b"bad"))

        counted = [
            served.metrics.registry.get_sample_value(
                "understudy_answers_total", {"api": "v2_http", "code": code}
            )
            for code in ("ok", "bad_image")
        ]
    assert counted == [1, 1]
