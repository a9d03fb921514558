"""A route's shadow and fallback as they are typed."""

import pytest

from serving.admin_client import AdminError
from serving.commands.route_arguments import read_fallback, read_shadow

PRESENT = {
    "shadow": {"arm": "student", "rate": 0.1},
    "fallback": {"arm": "teacher", "budget": 0.2},
}


def test_what_is_typed_is_read() -> None:
    assert read_shadow("student:0.25", none=False, present=None) == {"arm": "student", "rate": 0.25}
    assert read_fallback("teacher", none=False, present=PRESENT) == {"arm": "teacher"}
    given = read_fallback("teacher:0.5", none=False, present=None)
    assert given == {"arm": "teacher", "budget": 0.5}


def test_what_is_not_typed_stays_and_none_takes_it_away() -> None:
    assert read_shadow(None, none=False, present=PRESENT) == PRESENT["shadow"]
    assert read_fallback(None, none=False, present=PRESENT) == PRESENT["fallback"]
    assert read_shadow(None, none=False, present=None) is None
    assert read_shadow(None, none=True, present=PRESENT) is None
    assert read_fallback(None, none=True, present=PRESENT) is None


@pytest.mark.parametrize("text", ["student", "student:", "student:often"])
def test_a_shadow_that_does_not_read_so_is_refused(text: str) -> None:
    with pytest.raises(AdminError, match="--shadow"):
        read_shadow(text, none=False, present=None)


def test_both_at_once_are_refused() -> None:
    with pytest.raises(AdminError, match="exclude each other"):
        read_fallback("teacher", none=True, present=None)
