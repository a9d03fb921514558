import pytest
from v2_server import BOTH, models, route, table

from serving.errors import InvalidField, ReleaseNotFound, UnknownRoute
from serving.store.values import ReleaseState


def test_a_release_on_its_way_out_is_not_ready() -> None:
    leaving = models(table(route("solo", student=100), state=ReleaseState.DRAINING))

    assert not leaving.ready("solo")
    assert [one.reason for one in leaving.index(only_ready=False)] == ["the release is draining"]


def test_a_model_is_a_route_and_a_version_a_release_of_it() -> None:
    known = models(BOTH)

    with pytest.raises(UnknownRoute, match="no route 'nobody', only default, solo"):
        known.model("nobody")
    with pytest.raises(ReleaseNotFound, match=r"only teacher-1\.0, student-1\.0"):
        known.model("default", "student-2.0")
    with pytest.raises(InvalidField, match="model_name"):
        known.model("")


def test_an_arm_is_forced_only_where_the_route_might_choose_another() -> None:
    known = models(BOTH)

    assert known.forced_arm("default", "student-1.0") == "student"
    assert known.forced_arm("solo", "student-1.0") == ""
    assert known.forced_arm("solo", "teacher-1.0") == "teacher"
    assert known.forced_arm("default", "") == ""
