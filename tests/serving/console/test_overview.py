"""The sentence that is read first, and the figures below it."""

import pytest
from routes_seen import NOW, STUDENT, TEACHER, at_work, deployment, glance, route_of

from serving.console.overview import RouteNow, overview
from serving.console.traffic import RouteTraffic
from serving.store.values import ReleaseKey, RouteRevision

CAMERAS = [f"gate-{number}" for number in range(8)]
ALL_OK = {"ok": 10}


def look(revision: RouteRevision, traffic: RouteTraffic) -> RouteNow:
    return overview(revision, traffic, deployment())


def test_an_overview_says_who_answers_whom() -> None:
    traffic = at_work(*(glance(5 * place) for place in range(1, 14)))
    workers = {"torchserve-1": {ReleaseKey(model="student", version="1.0"): 2}}

    seen = overview(route_of(student=100), traffic, deployment(placements=workers))

    (arm,) = seen.arms
    assert (arm.cameras, arm.share, arm.ready_workers, arm.state) == (1, 1.0, 2, None)
    assert arm.frames_s == 2.0
    assert seen.glance == (
        "1 of 1 camera is answered by student-1.0; nobody answered 10.0% of the frames."
    )


def test_right_after_a_swap_the_cameras_are_still_those_of_the_release_before() -> None:
    traffic = at_work(glance(10, codes=ALL_OK, cameras=dict.fromkeys(CAMERAS, 1)))

    nobody_yet = look(route_of(student_2=100), traffic)
    new = STUDENT._replace(release="student-2.0")
    traffic.add(glance(5, new, codes=ALL_OK, cameras=dict.fromkeys(CAMERAS[:3], 1)))
    some = look(route_of(student_2=100), traffic)

    assert nobody_yet.glance == "8 of 8 cameras were last answered by student-1.0."
    assert some.glance == (
        "3 of 8 cameras are answered by student-2.0, 5 were last answered by student-1.0."
    )


def test_a_camera_of_which_every_frame_fails_is_not_called_answered() -> None:
    codes = {"worker_died": 8}
    traffic = at_work(glance(10, codes=codes, latency={}, cameras=dict.fromkeys(CAMERAS, 0)))

    seen = look(route_of(student=100), traffic)

    assert seen.glance == "8 of 8 cameras get no answer; nobody answered 100.0% of the frames."


def test_of_some_cameras_it_says_how_many_get_no_answer() -> None:
    answered = dict.fromkeys(CAMERAS[:7], 1) | {CAMERAS[7]: 0}
    traffic = at_work(glance(10, codes=ALL_OK, cameras=answered))

    assert look(route_of(student=100), traffic).glance == (
        "7 of 8 cameras are answered by student-1.0, 1 gets no answer."
    )


def test_where_another_arm_stands_in_it_is_told_apart() -> None:
    late = {400: 8}
    traffic = at_work(
        *(
            one
            for place in range(1, 14)
            for one in (
                glance(5 * place, codes={"worker_died": 8}, latency={}, cameras={"gate-1": 0}),
                glance(
                    5 * place,
                    TEACHER,
                    kind="fallback",
                    codes={"ok": 8},
                    latency=late,
                    cameras={"gate-1": 8},
                ),
            )
        )
    )

    seen = look(route_of(teacher=0, student=100), traffic)

    teacher, student = seen.arms
    assert seen.glance == "1 of 1 camera is answered by teacher-1.0."
    assert (student.frames_s, student.sums.error_rate) == (pytest.approx(1.6), 1.0)
    # What the student lost is not the teacher's: neither its latency nor its frames.
    assert (teacher.frames_s, teacher.stood_in_s) == (0.0, pytest.approx(1.6))
    assert (teacher.sums.error_rate, teacher.sums.quantile_s(0.99)) == (None, None)


def test_before_any_camera_was_seen_it_says_who_is_to_answer() -> None:
    assert look(route_of(teacher=75, student=25), at_work()).glance == (
        "No camera was seen in the last minute; teacher-1.0 is to answer 75%, student-1.0 is to "
        "answer 25%."
    )


def test_agreement_is_part_of_the_glance() -> None:
    agreement = {"frames": 4, "f1": 3.0}
    traffic = at_work(
        glance(10, TEACHER, codes=ALL_OK),
        glance(10, kind="shadow", agreement=agreement, cameras={}),
    )

    assert look(route_of(teacher=100, student=0), traffic).glance == (
        "1 of 1 camera is answered by teacher-1.0; the student agrees 75.0% with what the cameras "
        "got."
    )
    assert traffic.stamp(NOW)[1] == 2
