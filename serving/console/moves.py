"""What a change of a route does to cameras: reckoned before it is made, told in words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from serving.controlplane.rollout_routes import Pick
from serving.errors import InvalidField
from serving.store.values import Arm, Route
from serving.words import as_counted, count, listed, weight

_SPLITS = {"camera": "by camera", "none": "anew for each request"}


@dataclass(frozen=True)
class Move:
    """Cameras that another arm, or another release, answers from now on.

    Attributes:
        source: Who answered them.
        target: Who will.
        cameras: Their ids.
    """

    source: Arm
    target: Arm
    cameras: tuple[str, ...]


def moves(before: Route, after: Route, cameras: Iterable[str], pick: Pick) -> list[Move]:
    """Return who moves; a camera whose arm and release stay is in none of them."""
    found: dict[tuple[str, str], tuple[Arm, Arm, list[str]]] = {}
    for camera in sorted(cameras, key=as_counted):
        source, target = pick(before, camera), pick(after, camera)
        if (source.name, source.release) == (target.name, target.release):
            continue
        key = (source.name, target.name)
        found.setdefault(key, (source, target, []))[2].append(camera)
    return [Move(source, target, tuple(names)) for source, target, names in found.values()]


def sentences(before: Route | None, after: Route, cameras: Sequence[str], pick: Pick) -> list[str]:
    """Return what a change will do, a sentence each, the heaviest first; none: it is no change.

    Args:
        before: The route as it stands; None: it is new.
        after: As it is wanted.
        cameras: Ids of those that send frames to it now.
        pick: Which arm answers a camera.
    """
    if before is None:
        return _new(after)
    said = _by_camera(before, after, cameras, pick) or _by_share(before, after)
    said += _beside(before, after)
    return said


def called(arm: Arm) -> str:
    """Return an arm's name with its release."""
    return f"{arm.name} ({arm.release})"


def _new(route: Route) -> list[str]:
    shares = listed([f"{called(arm)} {weight(arm.weight)}" for arm in route.arms])
    bare = route.model_copy(update={"shadow": None, "fallback": None})
    return [
        f"Route “{route.name}” is made. It answers who asks for it: {shares}.",
        *_beside(bare, route),
    ]


def _by_camera(before: Route, after: Route, cameras: Sequence[str], pick: Pick) -> list[str]:
    if before.sticky != "camera" or after.sticky != "camera" or not cameras:
        return []
    try:
        found = moves(before, after, cameras, pick)
    except InvalidField:
        return []
    total = len(cameras)
    moved = sum(len(one.cameras) for one in found)
    said = [
        f"{len(one.cameras):,} of {count(total, 'camera')} "
        f"{'moves' if len(one.cameras) == 1 else 'move'} from {called(one.source)} to "
        f"{called(one.target)}: {listed(list(one.cameras))}."
        for one in sorted(found, key=lambda one: -len(one.cameras))
    ]
    if moved == 0 and _weights(before) != _weights(after):
        return [f"None of the {count(total, 'camera')} seen now moves.", *_by_share(before, after)]
    if said and moved < total:
        left = total - moved
        said.append(f"{count(left, 'camera')} {'stays' if left == 1 else 'stay'} where they are.")
    return said


def _by_share(before: Route, after: Route) -> list[str]:
    """Say it in shares: no camera is known, or the split goes by something else."""
    what = {"camera": "cameras", "none": "requests"}.get(after.sticky, f"{after.sticky} values")
    old, new = _weights(before), _weights(after)
    return [
        f"{name.capitalize()} goes from {weight(old.get(name, 0.0))} to "
        f"{weight(new.get(name, 0.0))} of the {what}."
        for name in {**old, **new}
        if old.get(name, 0.0) != new.get(name, 0.0)
    ]


def _beside(before: Route, after: Route) -> list[str]:
    """Say what changes apart from the weights."""
    said = []
    for arm in after.arms:
        had = before.arm(arm.name)
        if had is None:
            said.append(f"Arm {called(arm)} is added.")
        elif had.release != arm.release:
            said.append(f"Arm {arm.name} is answered by {arm.release} instead of {had.release}.")
    gone = [called(arm) for arm in before.arms if after.arm(arm.name) is None]
    said += [f"Arm {name} leaves the route; its release stays loaded as standby." for name in gone]
    if before.shadow != after.shadow:
        said.append(_shadow(after))
    if before.fallback != after.fallback:
        said.append(_fallback(after))
    if before.sticky != after.sticky:
        said.append(
            f"The split is made {_split(after)} instead of {_split(before)}: any camera may get "
            "another arm."
        )
    if before.timeout_s != after.timeout_s:
        said.append(
            f"A frame that brings no deadline has {after.timeout_s:g} s instead of "
            f"{before.timeout_s:g} s."
        )
    return said


def _split(route: Route) -> str:
    return _SPLITS.get(route.sticky, f"by {route.sticky.replace(':', ' ')}")


def _shadow(after: Route) -> str:
    if after.shadow is None:
        return "No frame is compared in the shadow any more."
    return (
        f"{after.shadow.arm.capitalize()} answers {weight(100 * after.shadow.rate)} of the other "
        "arms' frames too, unheard, to compare."
    )


def _fallback(after: Route) -> str:
    if after.fallback is None:
        return "No arm stands in for another that fails."
    return (
        f"{after.fallback.arm.capitalize()} stands in where another arm fails or is full, for at "
        f"most {weight(100 * after.fallback.budget)} of the requests."
    )


def _weights(route: Route) -> dict[str, float]:
    return {arm.name: arm.weight for arm in route.arms}
