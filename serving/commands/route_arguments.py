"""What a route has beside its arms, as an operator types it."""

from collections.abc import Mapping
from typing import Any

from serving.admin_client import AdminError


def read_shadow(text: str | None, *, none: bool, present: Mapping[str, Any] | None) -> Any:
    """Return the shadow as the admin API takes it.

    Args:
        text: ARM:RATE, or None: not given.
        none: Whether the route is to have none.
        present: The route as the admin API tells it; None where there is none yet.

    Raises:
        AdminError: It does not read so.
    """
    if none or text is None:
        return _kept("shadow", text, none=none, present=present)
    arm, _, rate = text.partition(":")
    if not rate:
        raise AdminError(f"--shadow {text}: a shadow reads ARM:RATE, as in student:0.1")
    return {"arm": arm, "rate": _number("--shadow", text, rate)}


def read_fallback(text: str | None, *, none: bool, present: Mapping[str, Any] | None) -> Any:
    """Return the fallback as the admin API takes it; see `read_shadow`.

    Args:
        text: ARM or ARM:BUDGET, or None: not given.
        none: Whether the route is to have none.
        present: The route as the admin API tells it; None where there is none yet.

    Raises:
        AdminError: It does not read so.
    """
    if none or text is None:
        return _kept("fallback", text, none=none, present=present)
    arm, _, budget = text.partition(":")
    return {"arm": arm} | ({"budget": _number("--fallback", text, budget)} if budget else {})


def _kept(name: str, text: str | None, *, none: bool, present: Mapping[str, Any] | None) -> Any:
    if none and text is not None:
        raise AdminError(f"--{name} and --no-{name} exclude each other")
    return None if none or present is None else present[name]


def _number(option: str, text: str, given: str) -> float:
    try:
        return float(given)
    except ValueError:
        raise AdminError(f"{option} {text}: {given!r} is not a number, as in 0.1") from None
