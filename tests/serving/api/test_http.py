import json
import socket

import httpx
import pytest
from deployment import Deployment
from google.protobuf import json_format

from proto.wire.v1 import detection_pb2 as wire

pytestmark = pytest.mark.slow


def post(served: Deployment, **options: object) -> httpx.Response:
    headers = served.bearer | options.pop("headers", {})  # type: ignore[operator] # a dict
    url = f"{served.addresses.http_url}/v1/detect"
    return httpx.post(url, headers=headers, timeout=30, **options)  # type: ignore[arg-type] # as named


def test_raw_bytes_are_answered(served: Deployment, image: bytes) -> None:
    reply = served.detect(image, camera_id="gate-7", frame_id="f-1")

    answer = json_format.Parse(reply.content, wire.DetectResponse())
    assert reply.status_code == 200
    assert [(one.label, round(one.score, 2)) for one in answer.detections] == [
        ("cell", 0.9),
        ("plate", 0.8),
    ]
    assert (answer.image_size.width, answer.image_size.height) == (96, 96)
    assert (answer.camera_id, answer.frame_id) == ("gate-7", "f-1")
    assert answer.answered_by.variant == "onnxruntime-fp32"
    assert answer.request_id == reply.headers["X-Request-Id"]
    timings = answer.timings
    assert timings.total_ms >= timings.upstream_ms > timings.inference_ms > 0


def test_multipart_is_answered_as_raw_bytes_are(served: Deployment, image: bytes) -> None:
    reply = post(
        served,
        files={"image": ("frame.jpg", image, "image/jpeg")},
        data={"camera_id": "gate-7", "max_detections": "1", "min_score": "0.5"},
    )

    assert reply.status_code == 200, reply.text
    assert reply.json()["cameraId"] == "gate-7"
    assert [one["label"] for one in reply.json()["detections"]] == ["cell"]


def test_fields_may_come_as_headers_and_the_query_wins(served: Deployment, image: bytes) -> None:
    headers = {"X-Camera-Id": "gate-8", "X-Min-Score": "0.85", "Content-Type": "image/jpeg"}

    from_headers = post(served, content=image, headers=headers).json()
    from_query = post(
        served, content=image, headers=headers, params={"camera_id": "gate-9", "min_score": "0.1"}
    ).json()

    assert (from_headers["cameraId"], len(from_headers["detections"])) == ("gate-8", 1)
    assert (from_query["cameraId"], len(from_query["detections"])) == ("gate-9", 2)


def test_x_api_key_is_as_good_as_a_bearer(served: Deployment, image: bytes) -> None:
    url = f"{served.addresses.http_url}/v1/detect?route=solo"

    reply = httpx.post(url, content=image, headers={"X-API-Key": served.key})

    assert reply.status_code == 200


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "image/jpeg", None])
def test_curl_need_not_name_the_media_type(
    served: Deployment, image: bytes, kind: str | None
) -> None:
    headers = {} if kind is None else {"Content-Type": kind}

    reply = post(served, params={"route": "solo"}, content=image, headers=headers)

    assert reply.status_code == 200


def test_an_admin_may_force_an_arm(served: Deployment, image: bytes) -> None:
    arms = [
        served.detect(image, camera_id="gate-7", arm=arm).json()["answeredBy"]["arm"]
        for arm in ("teacher", "student")
    ]

    assert arms == ["teacher", "student"]


def test_a_camera_keeps_to_one_arm_and_both_arms_answer(served: Deployment, image: bytes) -> None:
    def arm(camera: str) -> str:
        return str(served.detect(image, camera_id=camera).json()["answeredBy"]["arm"])

    arms = {f"camera-{n}": arm(f"camera-{n}") for n in range(8)}

    assert set(arms.values()) == {"teacher", "student"}
    assert {camera: arm(camera) for camera in arms} == arms


def test_the_caller_s_request_id_is_kept_and_a_bad_one_replaced(
    served: Deployment, image: bytes
) -> None:
    headers = {"Content-Type": "image/jpeg"}
    kept = post(served, content=image, headers=headers | {"X-Request-Id": "job-17"})
    replaced = post(served, content=image, headers=headers | {"X-Request-Id": "a b"})

    assert kept.headers["X-Request-Id"] == "job-17"
    assert replaced.headers["X-Request-Id"] != "a b"


@pytest.mark.parametrize(
    ("options", "status", "field", "says"),
    [
        ({"params": {"min_scor": "1"}}, 400, "min_scor", "no such field; there are camera_id"),
        ({"params": [("route", "solo")] * 2}, 400, "route", "given twice"),
        ({"params": {"min_score": "high"}}, 400, "min_score", "'high' is not a number"),
        ({"params": {"max_detections": "-1"}}, 400, "max_detections", "not a whole number"),
        ({"params": {"capture_time": "noon"}}, 400, "capture_time", "RFC 3339"),
        ({"headers": {"X-Timeout-Ms": "soon"}}, 400, "X-Timeout-Ms", "not a number of ms"),
        ({"headers": {"X-Timeout-Ms": "0"}}, 400, "X-Timeout-Ms", "within 1 to 120000"),
        ({"headers": {"Content-Type": "text/html"}}, 415, "", "'text/html' is not taken"),
        (
            {"headers": {"Content-Type": "multipart/form-data"}},
            400,
            "body",
            "Missing boundary",
        ),
    ],
)
def test_what_only_http_can_get_wrong(  # noqa: PLR0917 - pytest gives them by name
    served: Deployment,
    image: bytes,
    options: dict[str, dict[str, str]],
    status: int,
    field: str,
    says: str,
) -> None:
    headers = {"Content-Type": "image/jpeg"} | options.get("headers", {})

    reply = post(served, content=image, headers=headers, params=options.get("params"))

    error = reply.json()["error"]
    assert (reply.status_code, error["field"]) == (status, field)
    assert says in error["message"]


@pytest.mark.parametrize("charset", ["unicode_escape", "idna", "undefined"])
def test_a_multipart_field_that_is_no_text_is_told(served: Deployment, charset: str) -> None:
    form = (
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nabc\r\n'
        b'--x\r\nContent-Disposition: form-data; name="camera_id"\r\n\r\nxn--\\ud800\r\n--x--\r\n'
    )

    headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    reply = post(served, content=form, headers=headers)

    assert (reply.status_code, reply.json()["error"]["field"]) == (400, "body")
    assert "send it as UTF-8" in reply.json()["error"]["message"]


def test_multipart_without_the_image_is_told_what_to_send(served: Deployment) -> None:
    reply = post(served, files={"picture": ("a.jpg", b"x", "image/jpeg")})

    assert reply.status_code == 400
    assert "image: no part of this name" in reply.json()["error"]["message"]


def test_an_announced_gigabyte_is_refused_before_it_is_sent(served: Deployment) -> None:
    head = (
        f"POST /v1/detect HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.key}\r\n"
        "Content-Type: image/jpeg\r\nContent-Length: 1073741824\r\n\r\n"
    )

    status, said = raw_exchange(served, head.encode())

    assert status == 413
    assert said["error"]["code"] == "image_too_large"


def test_a_body_without_an_end_is_cut_at_the_limit(served: Deployment) -> None:
    head = (
        f"POST /v1/detect HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.key}\r\n"
        "Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"100000\r\n" + b"\xff" * 0x100000 + b"\r\n"

    status, said = raw_exchange(served, head.encode() + chunk * 7)  # no last chunk: 7 MiB and on

    assert status == 413
    assert "more than 6291456 bytes" in said["error"]["message"]


def raw_exchange(served: Deployment, sent: bytes) -> tuple[int, dict[str, dict[str, str]]]:
    url = httpx.URL(served.addresses.http_url)
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        connection.sendall(sent)
        received = b""
        while b"\r\n\r\n" not in received or not received.endswith(b"}}"):
            received += connection.recv(65536)
    return int(received.split()[1]), json.loads(received.partition(b"\r\n\r\n")[2])


def test_probes_ask_for_no_key(served: Deployment) -> None:
    assert served.get("/livez").json() == {"status": "alive"}
    assert served.get("/readyz").json() == {"status": "ready"}


def test_an_unknown_path_answers_in_the_same_shape(served: Deployment) -> None:
    reply = served.get("/v1/unknown")

    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"
    assert "GET /v1/unknown" in reply.json()["error"]["message"]


def test_a_deadline_that_is_too_short_is_told(served: Deployment, image: bytes) -> None:
    headers = {"Content-Type": "image/jpeg", "X-Timeout-Ms": "1"}

    reply = post(served, content=image, headers=headers, params={"route": "solo"})

    assert reply.status_code == 504
    assert reply.json()["error"]["code"] == "deadline_exceeded"


def test_openapi_describes_body_answer_and_refusals(served: Deployment) -> None:
    described = served.get("/openapi.json").json()

    detect = described["paths"]["/v1/detect"]["post"]
    assert set(detect["requestBody"]["content"]) >= {"image/jpeg", "multipart/form-data"}
    assert {"200", "400", "401", "413", "415", "429", "503", "504"} <= set(detect["responses"])
    assert {one["name"] for one in detect["parameters"]} >= {"camera_id", "min_score"}
    response = described["components"]["schemas"]["DetectResponse"]["properties"]
    assert set(response) == {field.json_name for field in wire.DetectResponse.DESCRIPTOR.fields}
    box = response["detections"]["items"]["properties"]["box"]["properties"]
    assert box["x1"] == {"type": "number"}


def test_no_page_loads_anything_from_elsewhere(served: Deployment) -> None:
    assert served.get("/docs").status_code == 404
    assert served.get("/redoc").status_code == 404


def test_metrics_tell_of_arms_and_codes_and_of_no_camera(served: Deployment, image: bytes) -> None:
    served.detect(image, camera_id="a-camera-nobody-else-is", arm="student")
    served.detect(b"junk", camera_id="a-camera-nobody-else-is", arm="student")

    text = served.get("/metrics").text

    student = 'arm="student",code="{}",model="student",route="default",version="1.0"'
    assert f"understudy_request_seconds_count{{{student.format('ok')}}}" in text
    assert f"understudy_request_seconds_count{{{student.format('bad_image')}}}" in text
    assert 'understudy_answers_total{api="http",code="ok"}' in text
    inference = 'model="student",route="default",stage="inference",version="1.0"'
    assert f'understudy_worker_stage_seconds_count{{arm="student",{inference}}}' in text
    assert 'understudy_detections_total{arm="student",class="cell",model="student"' in text
    assert 'understudy_in_flight{model="student",version="1.0"} 0.0' in text
    assert (
        'understudy_route_weight_ratio{arm="student",model="student",route="default",'
        'version="1.0"} 0.5' in text
    )
    assert 'understudy_build_info{python="3.' in text
    assert "a-camera-nobody-else-is" not in text
