from typing import Any

import pytest

from serving.console.moves import moves, sentences
from serving.dataplane.routing import pick
from serving.store.values import Arm, Fallback, ReleaseKey, Route, Shadow

CAMERAS = [f"gate-{number}" for number in range(8)]


def route(student: float, *, version: str = "1.0", **others: Any) -> Route:
    teacher = ReleaseKey(model="teacher", version="1.0")
    arms = (
        Arm(name="teacher", release=teacher, weight=100 - student),
        Arm(name="student", release=ReleaseKey(model="student", version=version), weight=student),
    )
    return Route(arms=arms, **others)


def test_the_cameras_that_move_are_those_that_another_arm_answers_afterwards() -> None:
    before, after = route(0), route(50)

    (found,) = moves(before, after, CAMERAS, pick)

    assert (found.source.name, found.target.name) == ("teacher", "student")
    assert set(found.cameras) == {
        camera for camera in CAMERAS if pick(after, camera).name == "student"
    }


def test_a_change_is_told_camera_by_camera() -> None:
    moved = [camera for camera in CAMERAS if pick(route(50), camera).name == "student"]

    said = sentences(route(0), route(50), CAMERAS, pick)

    assert said == [
        f"{len(moved)} of 8 cameras move from teacher (teacher-1.0) to student (student-1.0): "
        f"{', '.join(moved)}.",
        f"{8 - len(moved)} cameras stay where they are.",
    ]


def test_another_release_of_the_same_arm_moves_its_cameras() -> None:
    said = sentences(route(100), route(100, version="2.0"), CAMERAS[:1], pick)

    assert said == [
        "1 of 1 camera moves from student (student-1.0) to student (student-2.0): gate-0.",
        "Arm student is answered by student-2.0 instead of student-1.0.",
    ]


def test_shares_are_told_where_no_camera_is_known_or_the_split_is_not_by_camera() -> None:
    by_camera = sentences(route(0), route(25), [], pick)
    by_request = sentences(route(0, sticky="none"), route(25, sticky="none"), CAMERAS, pick)

    assert by_camera[1] == "Student goes from 0% to 25% of the cameras."
    assert by_request[1] == "Student goes from 0% to 25% of the requests."


def test_a_change_too_small_for_any_camera_says_so() -> None:
    said = sentences(route(0), route(0.01), ["gate-1"], pick)

    assert said[0] == "None of the 1 camera seen now moves."
    assert "Student goes from 0% to 0.01% of the cameras." in said


def test_no_change_is_no_sentence() -> None:
    assert sentences(route(25), route(25), CAMERAS, pick) == []


def test_shadow_and_fallback_are_told() -> None:
    after = route(
        25, shadow=Shadow(arm="student", rate=0.5), fallback=Fallback(arm="teacher", budget=0.2)
    )

    assert sentences(route(25), after, CAMERAS, pick) == [
        "Student answers 50% of the other arms' frames too, unheard, to compare.",
        "Teacher stands in where another arm fails or is full, for at most 20% of the requests.",
    ]
    assert sentences(after, route(25), CAMERAS, pick) == [
        "No frame is compared in the shadow any more.",
        "No arm stands in for another that fails.",
    ]


def test_an_arm_that_leaves_and_one_that_comes_are_told() -> None:
    alone = Route(arms=(route(0).arms[0],))

    assert "Arm student (student-1.0) is added." in sentences(alone, route(0), CAMERAS, pick)
    assert any(
        "student (student-1.0) leaves the route" in one
        for one in sentences(route(0), alone, CAMERAS, pick)
    )


OTHERWISE: dict[str, Any] = {
    "arms": route(30).arms,
    "sticky": "header:x-site",
    "timeout_s": 5.0,
    "shadow": Shadow(arm="student", rate=0.5),
    "fallback": Fallback(arm="teacher", budget=0.2),
}


@pytest.mark.parametrize("field", [name for name in Route.model_fields if name != "name"])
def test_no_field_of_a_route_changes_without_a_word(field: str) -> None:
    before = route(20)

    assert sentences(before, before.model_copy(update={field: OTHERWISE[field]}), CAMERAS, pick)


def test_how_the_split_is_made_and_the_deadline_are_told() -> None:
    after = route(25, sticky="none", timeout_s=5)

    assert sentences(route(25), after, CAMERAS, pick) == [
        "The split is made anew for each request instead of by camera: any camera may get another "
        "arm.",
        "A frame that brings no deadline has 5 s instead of 10 s.",
    ]


def test_of_a_new_route_all_is_told() -> None:
    new = route(25, fallback=Fallback(arm="teacher", budget=0.2))

    assert sentences(None, new, CAMERAS, pick) == [
        "Route “default” is made. It answers who asks for it: teacher (teacher-1.0) 75%, student "
        "(student-1.0) 25%.",
        "Teacher stands in where another arm fails or is full, for at most 20% of the requests.",
    ]
