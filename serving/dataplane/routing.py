"""Which arm answers a key: a pure function, the same in every process and after every restart."""

import hashlib
from itertools import accumulate

from serving.errors import InvalidField, MissingCameraId, UnknownArm
from serving.store.values import Arm, Route

BUCKETS = 10_000


def bucket(key: str) -> int:
    """Return the key's place in 0..9999: BLAKE2b (RFC 7693), so no process's hash seed matters.

    The remainder of 64 bits by 10,000 favours no bucket by more than 1 in 10^15.
    """
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


def pick(route: Route, key: str) -> Arm:
    """Return the arm that answers `key`.

    The arms lie side by side on the buckets in the route's order, each edge rounded to a bucket
    (0.01 percent). Monotone: weight that one arm hands to the next moves the edge between them and
    no other, so keys move only from the one to the other; weight that passes over an arm in between
    moves keys only towards later arms, never back.

    Args:
        route: Its weights sum to 100.
        key: A camera id, a header's value, or a request id where the route is not sticky.

    Raises:
        MissingCameraId: The route splits by camera, more than one arm has weight, and `key` is "".
        InvalidField: The same with a header; it is named.
    """
    weighted = [arm for arm in route.arms if arm.weight > 0]
    if len(weighted) == 1:
        return weighted[0]
    if not key:
        raise _missing(route, len(weighted))
    place = bucket(key)
    edges = accumulate(arm.weight for arm in weighted)
    # Rounded, since sums like 33.3 + 33.3 + 33.4 miss the edge by a hair.
    inside = (
        arm
        for arm, edge in zip(weighted, edges, strict=True)
        if place < round(edge * BUCKETS / 100)
    )
    return next(inside, weighted[-1])


def header_of(route: Route) -> str | None:
    """Return the header whose value the route splits by, lower-case; None: it splits otherwise."""
    kind, _, header = route.sticky.partition(":")
    return header if kind == "header" else None


def _missing(route: Route, arms: int) -> InvalidField:
    header = header_of(route)
    if header is not None:
        return InvalidField(
            header,
            f"{header}: no such header (in gRPC: metadata), and route {route.name!r} splits by it "
            f"over {arms} arms; send it, so that each value keeps to one arm",
        )
    return MissingCameraId(
        "camera_id",
        f"camera_id: empty, and route {route.name!r} splits by camera over "
        f"{arms} arms; name the camera, so that each keeps to one arm",
    )


def forced(route: Route, name: str) -> Arm:
    """Return the arm called `name`, whatever its weight.

    Raises:
        UnknownArm: The route has no such arm.
    """
    for arm in route.arms:
        if arm.name == name:
            return arm
    known = ", ".join(arm.name for arm in route.arms)
    raise UnknownArm("arm", f"arm: route {route.name!r} has no arm {name!r}, only {known}")
