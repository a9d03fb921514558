import pytest

from serving.commands.arm_arguments import read_arms
from serving.commands.traffic_hint import traffic_hint

ROUTE = {
    "name": "default",
    "arms": [
        {"name": "teacher", "release": "teacher-1.0", "weight": 100 / 3},
        {"name": "student", "release": "student-1.0", "weight": 200 / 3},
    ],
}


def test_without_a_route_everything_goes_to_the_new_release() -> None:
    assert traffic_hint("coco-n-1.0", None).endswith("set default coco-n=coco-n-1.0:100")


@pytest.mark.parametrize(("release", "name"), [("coco-n-1.0", "coco-n"), ("student-1.1",) * 2])
def test_what_the_hint_says_keeps_every_arm_and_its_weight(release: str, name: str) -> None:
    command = traffic_hint(release, ROUTE).splitlines()[0].partition("set default ")[2]

    arms = read_arms(command.split(), ROUTE)

    assert [(arm["name"], arm["release"]) for arm in arms] == [
        ("teacher", "teacher-1.0"),
        ("student", "student-1.0"),
        (name, release),
    ]
    assert [arm["weight"] for arm in arms] == pytest.approx([100 / 3, 200 / 3, 0])
    assert sum(arm["weight"] for arm in arms) == pytest.approx(100, abs=1e-6)


def test_a_release_that_the_route_has_needs_no_arm() -> None:
    assert "already, as the arm student" in traffic_hint("student-1.0", ROUTE)
