import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.dataplane.routing import BUCKETS, bucket, forced, pick
from serving.errors import MissingCameraId, UnknownArm
from serving.store.values import Arm, ReleaseKey, Route

CAMERAS = [f"site-{n % 40:02d}/camera-{n:06d}" for n in range(100_000)]
SOME = CAMERAS[:1_000]


def route(*weights: float, sticky: str = "camera") -> Route:
    arms = tuple(
        Arm(name=f"arm{n}", release=ReleaseKey(model=f"m{n}", version="1.0"), weight=weight)
        for n, weight in enumerate(weights)
    )
    return Route.model_validate({"arms": arms, "sticky": sticky})


@st.composite
def weights(draw: st.DrawFn) -> list[float]:
    cuts = sorted(draw(st.lists(st.integers(0, BUCKETS), min_size=1, max_size=5)))
    edges = [0, *cuts, BUCKETS]
    return [(b - a) / 100 for a, b in pairwise(edges)]


def index_of(split: Route, camera: str) -> int:
    return split.arms.index(pick(split, camera))


@settings(max_examples=3, deadline=None)
@given(weights())
def test_each_arm_gets_its_weight_within_one_percent_of_100_000_cameras(split: list[float]) -> None:
    counts = Counter(pick(route(*split), camera).name for camera in CAMERAS)

    for n, weight in enumerate(split):
        assert counts[f"arm{n}"] / len(CAMERAS) == pytest.approx(weight / 100, abs=0.01)


@given(weights(), st.text(min_size=1))
def test_a_camera_keeps_to_its_arm(split: list[float], camera: str) -> None:
    # Two routes that are equal but not the same object.
    assert pick(route(*split), camera) == pick(route(*split), camera)


@settings(max_examples=25, deadline=None)
@given(weights(), st.data())
def test_weight_handed_to_the_next_arm_moves_cameras_only_to_it(
    split: list[float], data: st.DataObject
) -> None:
    giver = data.draw(st.integers(0, len(split) - 2))
    part = data.draw(st.floats(0, 1)) * split[giver]
    changed = list(split)
    changed[giver] -= part
    changed[giver + 1] += part
    before, after = route(*split), route(*changed)

    moves = {(index_of(before, c), index_of(after, c)) for c in SOME}

    assert {move for move in moves if move[0] != move[1]} <= {(giver, giver + 1)}


@settings(max_examples=25, deadline=None)
@given(weights(), st.data())
def test_weight_handed_to_any_later_arm_moves_no_camera_back(
    split: list[float], data: st.DataObject
) -> None:
    giver = data.draw(st.integers(0, len(split) - 2))
    taker = data.draw(st.integers(giver + 1, len(split) - 1))
    part = data.draw(st.floats(0, 1)) * split[giver]
    changed = list(split)
    changed[giver] -= part
    changed[taker] += part
    before, after = route(*split), route(*changed)

    assert all(index_of(after, c) >= index_of(before, c) for c in SOME)


def test_a_rollout_moves_cameras_only_from_teacher_to_student() -> None:
    moved: set[str] = set()
    for student in (0, 1, 5, 25, 50, 99.99, 100):
        on_student = {c for c in SOME if pick(route(100 - student, student), c).name == "arm1"}
        assert moved <= on_student
        moved = on_student
    assert moved == set(SOME)


def test_the_bucket_is_the_same_in_another_process_with_another_hash_seed() -> None:
    program = (
        "from serving.dataplane.routing import bucket; print(bucket('gate-7'), bucket('høyre'))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert said.split() == [str(bucket("gate-7")), str(bucket("høyre"))]


def test_buckets_never_change() -> None:
    # A change here would move every customer's cameras to another arm.
    assert [bucket(key) for key in ("gate-7", "camera-1", "camera-2", "")] == BUCKETS_OF_RELEASE_1


BUCKETS_OF_RELEASE_1 = [756, 4116, 5229, 9876]


def test_a_split_by_camera_needs_a_camera() -> None:
    with pytest.raises(MissingCameraId, match="camera_id: empty, and route 'default' splits"):
        pick(route(50, 50), "")


def test_one_weighted_arm_needs_no_camera() -> None:
    assert pick(route(0, 100), "").name == "arm1"


def test_an_arm_without_weight_gets_nobody() -> None:
    assert {pick(route(50, 0, 50), camera).name for camera in SOME} == {"arm0", "arm2"}


def test_a_forced_arm_may_have_no_weight() -> None:
    assert forced(route(100, 0), "arm1").name == "arm1"


def test_an_unknown_arm_is_told_the_known_ones() -> None:
    with pytest.raises(UnknownArm, match="route 'default' has no arm 'arm9', only arm0, arm1"):
        forced(route(100, 0), "arm9")
