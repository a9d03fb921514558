"""What an operator types next, once a release is ready."""

from collections.abc import Mapping
from typing import Any


def traffic_hint(release: str, route: Mapping[str, Any] | None) -> str:
    """Return the command that brings a release onto the default route, losing no arm of it.

    Args:
        release: MODEL-VERSION.
        route: The default route as the admin API tells it; None where there is none yet.
    """
    model = release.rpartition("-")[0]
    if route is None:
        return f"Give it traffic: understudy route set default {model}={release}:100"
    for arm in route["arms"]:
        if arm["release"] == release:
            return f"The default route has it already, as the arm {arm['name']}."
    taken = {arm["name"] for arm in route["arms"]}
    name = release if model in taken else model
    # As many digits as the store keeps apart: the weights must still sum to 100.
    present = " ".join(f"{arm['name']}={arm['weight']:.10g}" for arm in route["arms"])
    return (
        f"Put it on the route, without traffic yet: "
        f"understudy route set default {present} {name}={release}:0\n"
        "`route set` replaces all arms: one that is not named leaves the route. "
        "The weights sum to 100."
    )
