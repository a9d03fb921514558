import sqlite3

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from serving.console.troubles import Troubles
from serving.errors import RouteConflict

DOWN = OperationalError(
    "SELECT api_keys.salt", ("x",), sqlite3.OperationalError("connection to 10.0.0.5 failed")
)


@pytest.mark.parametrize("error", [DOWN, OSError("10.0.0.5"), TimeoutError()])
def test_a_store_that_is_away_is_told_without_its_own_words(error: Exception) -> None:
    with capture_logs():
        said = Troubles().told(error)

    assert said.startswith("the store does not answer")


def test_an_error_of_the_servers_own_gives_nothing_away() -> None:
    with capture_logs() as lines:
        said = Troubles().told(ValueError("secret"))

    assert said == "an error of the server's own: its log says which"
    assert [line["exc_info"].args for line in lines] == [("secret",)]


def test_ours_are_told_as_they_are_and_not_logged() -> None:
    with capture_logs() as lines:
        said = Troubles().told(RouteConflict("the route is at revision 4"))

    assert (said, lines) == ("the route is at revision 4", [])


def test_an_outage_is_logged_once_a_minute_of_each_kind() -> None:
    now = [0.0]
    troubles = Troubles(lambda: now[0])
    with capture_logs() as lines:
        for seconds in (0, 2, 59, 60, 61):
            now[0] = seconds
            troubles.told(DOWN)
        troubles.told(TimeoutError())

    assert len(lines) == 3
