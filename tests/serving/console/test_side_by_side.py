from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.access.keys import mint
from serving.console.harvested import image_of, newest
from serving.console.pictures import Pictures
from serving.console.sessions import Session
from serving.console.side_by_side import compared, media_type
from serving.errors import BadImage
from serving.store.values import Release, ReleaseKey, ReleaseState, Scope
from serving.torchserve.inference import WorkerReply


def release(name: str, *classes: str) -> Release:
    now = datetime.now(UTC)
    return Release(
        key=ReleaseKey(model=name, version="1.0"),
        sha256="",
        role="student",
        class_names=classes,
        operating_thresholds=(0.25,) * len(classes),
        quality_measured=True,
        state=ReleaseState.READY,
        created=now,
        updated=now,
    )


def reply(*seen: tuple[int, float, tuple[float, float, float, float]]) -> WorkerReply:
    return WorkerReply(
        width=100,
        height=50,
        boxes_xyxy_px=tuple(side for _, _, box in seen for side in box),
        scores=tuple(score for _, score, _ in seen),
        class_ids=tuple(kind for kind, _, _ in seen),
        variant="onnxruntime-fp32",
        decode_ms=1,
        preprocess_ms=1,
        inference_ms=5,
        postprocess_ms=1,
        batch=1,
    )


def test_what_both_see_is_paired_and_the_rest_is_told_apart() -> None:
    # The second card numbers its classes otherwise.
    releases = [release("teacher", "car", "bus"), release("student", "bus", "car")]
    replies = [
        reply((0, 0.9, (0, 0, 10, 10)), (1, 0.8, (50, 0, 60, 10))),
        reply((1, 0.7, (0, 0, 10, 8)), (0, 0.6, (0, 30, 10, 40))),
    ]

    found = compared(releases, replies)

    left, right = found.views
    assert [(one.label, one.partner) for one in left.sights] == [("car", 0), ("bus", None)]
    assert [(one.label, one.partner) for one in right.sights] == [("car", 0), ("bus", None)]
    assert found.f1 == 0.5
    assert found.mean_iou == pytest.approx(0.8)
    assert (found.width, found.height) == (100, 50)


def test_two_that_see_nothing_agree() -> None:
    releases = [release("teacher", "car"), release("student", "car")]

    found = compared(releases, [reply(), reply()])

    assert (found.f1, found.mean_iou) == (1.0, None)


@pytest.mark.parametrize(
    ("beginning", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n", "image/png"),
        (b"RIFF1234WEBP", "image/webp"),
    ],
)
def test_an_image_is_known_by_its_first_bytes(beginning: bytes, kind: str) -> None:
    assert media_type(beginning) == kind


@pytest.mark.parametrize("other", [b"", b"<svg onload=alert(1)>", b"RIFF1234WAVE"])
def test_what_is_no_image_is_refused(other: bytes) -> None:
    with pytest.raises(BadImage):
        media_type(other)


def test_a_harvested_frame_is_taken_by_a_name_that_is_listed_only(tmp_path: Path) -> None:
    images = tmp_path / "harvest" / "default-1" / "images" / "train"
    images.mkdir(parents=True)
    (images.parents[1] / "data.yaml").write_text("")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    name = "20261122T120000000000Z-0123456789ab.jpg"
    (images / name).write_bytes(b"an image")
    folder = tmp_path / "harvest"

    assert newest(folder) == {name: "unnamed camera, 2026-11-22 12:00:00 UTC"}
    assert image_of(folder, name) == b"an image"
    with pytest.raises(BadImage, match="gone"):
        image_of(folder, "../secret.jpg")
    assert newest(None) == {}


def test_a_picture_is_for_its_own_session_only_and_the_oldest_goes() -> None:
    key, _ = mint("somebody", Scope.DETECT)
    mine, other = Session(key), Session(key)
    pictures = Pictures(most_bytes=10)

    first = pictures.keep(mine, b"123456")
    assert pictures.find(mine, first) == b"123456"
    assert pictures.find(other, first) is None

    second = pictures.keep(mine, b"abcdef")
    assert pictures.find(mine, first) is None
    assert pictures.find(mine, second) == b"abcdef"
