"""The arms of a route as an operator types them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from serving.admin_client import AdminError
from serving.store.values import MAX_WEIGHT, NAME_PATTERN, NAME_RULE

# NAME=WEIGHT, or NAME=MODEL-VERSION:WEIGHT
_ARM = re.compile(r"(?P<name>[^=]+)=(?:(?P<release>[^:=]+):)?(?P<weight>-?[0-9.]+)%?")
_NAME = re.compile(NAME_PATTERN)


def read_arms(wanted: Sequence[str], present: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Read the arms; those the route has keep their order, which the split depends on.

    Args:
        wanted: "NAME=WEIGHT" or "NAME=MODEL-VERSION:WEIGHT", an arm each.
        present: The route as the admin API tells it; None where there is none yet.

    Returns:
        The arms as the admin API takes them.

    Raises:
        AdminError: One does not read so, breaks a limit, is named twice, or is new and has no
            release.
    """
    known = {} if present is None else {arm["name"]: arm["release"] for arm in present["arms"]}
    arms: dict[str, dict[str, Any]] = {}
    for text in wanted:
        arm = _arm(text, known)
        if arm["name"] in arms:
            raise AdminError(f"{text}: the arm {arm['name']} is named twice")
        arms[arm["name"]] = arm
    order = [name for name in known if name in arms] + [name for name in arms if name not in known]
    return [arms[name] for name in order]


def _arm(text: str, known: Mapping[str, str]) -> dict[str, Any]:
    read = _ARM.fullmatch(text)
    if read is None:
        raise AdminError(f"{text}: an arm reads NAME=WEIGHT or NAME=MODEL-VERSION:WEIGHT")
    name, release = read["name"], read["release"] or known.get(read["name"])
    if _NAME.fullmatch(name) is None:
        raise AdminError(f"{text}: the arm's name {name!r} must be {NAME_RULE}")
    weight = _weight(text, name, read["weight"])
    if release is None:
        raise AdminError(
            f"{text}: the route has no arm {name} yet; give it a release, as in "
            f"{name}=MODEL-VERSION:{read['weight']}"
        )
    return {"name": name, "release": release, "weight": weight}


def _weight(text: str, name: str, given: str) -> float:
    try:
        weight = float(given)
    except ValueError:
        raise AdminError(f"{text}: {given} is not a number") from None
    if not 0 <= weight <= MAX_WEIGHT:
        raise AdminError(
            f"{text}: the weight of the arm {name} is {given}; it must be 0 to {MAX_WEIGHT}, "
            "in percent"
        )
    return weight
