"""Routes as the Open Inference Protocol's models, and the releases of their arms as versions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import Literal

from serving.api.v2_tensors import IMAGE, MOST_IMAGES, OUTPUTS
from serving.dataplane.frames import MAX_NAME_LENGTH
from serving.dataplane.route_table import RouteTable
from serving.errors import InvalidField, ReleaseNotFound
from serving.store.values import ReleaseState, Route

SERVER = "understudy"
EXTENSIONS = ("binary_tensor_data", "model_repository", "parameters")
PLATFORM = "understudy_detection"
# What an arm's release may be in while it answers.
_ANSWERS = frozenset({ReleaseState.READY, ReleaseState.LIVE, ReleaseState.STANDBY})


@dataclass(frozen=True)
class TensorInfo:
    """A tensor's name, data type and shape (-1: varies)."""

    name: str
    datatype: str
    shape: tuple[int, ...]


INPUT_INFOS = (TensorInfo(IMAGE, "BYTES", (-1,)),)
OUTPUT_INFOS = tuple(TensorInfo(name, *described) for name, described in OUTPUTS.items())
# The protocol has no field for words; REST's answer carries these beside its own.
NOTES: Mapping[str, str] = {
    "image": f"shape [n] or [n, 1], n from 1 to {MOST_IMAGES}; each element an encoded JPEG, PNG "
    "or WebP; in JSON as base64",
    "boxes": "x1, y1, x2, y2 in pixels of the original image",
    "counts": "detections of each image; the other outputs hold all images' detections in order",
    "parameters": "camera_id, frame_id, arm: strings; min_score: 0.001 to 1; max_detections: 1 to "
    "1000; timeout: microseconds",
}


@dataclass(frozen=True)
class Model:
    """A route's name and the releases that its arms name, as in "student-1.0"."""

    name: str
    versions: tuple[str, ...]


@dataclass(frozen=True)
class IndexEntry:
    """One release of one route, as the repository index tells it."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


class Models:
    """What stock clients may know of the routes.

    Args:
        table: Returns the routes as of now.
        not_ready: Returns why frames cannot be answered now, or None.
    """

    def __init__(
        self, table: Callable[[], RouteTable], not_ready: Callable[[], str | None]
    ) -> None:
        self._table = table
        self._not_ready = not_ready
        self.server_version = installed_version("understudy")

    def server_ready(self) -> bool:
        """Whether frames can be answered now."""
        return self._not_ready() is None

    def model(self, name: str, version: str = "") -> Model:
        """Return a route, with one of its releases or all.

        Raises:
            BackendUnavailable: There is no route at all.
            UnknownRoute: There is none of this name.
            ReleaseNotFound: No arm of it names this release.
            InvalidField: There is no name, or one too long.
        """
        route = self._route(name)
        versions = _versions(route)
        if not version:
            return Model(route.name, versions)
        if version not in versions:
            raise ReleaseNotFound(
                f"model_version: no arm of route {route.name!r} names {version[:64]!r}, only "
                f"{', '.join(versions)}",
            )
        return Model(route.name, (version,))

    def ready(self, name: str, version: str = "") -> bool:
        """Whether a route, or one of its releases, can answer now; one that is not there cannot."""
        entries = [one for one in self.index(only_ready=False) if one.name == name]
        if version:
            entries = [one for one in entries if one.version == version]
        return bool(entries) and all(one.state == "READY" for one in entries)

    def index(self, *, only_ready: bool) -> list[IndexEntry]:
        """Return every release of every route."""
        table, reason = self._table(), self._not_ready()
        entries = [
            _entry(table, route, version, reason)
            for _, route in sorted(table.routes.items())
            for version in _versions(route)
        ]
        return [one for one in entries if one.state == "READY" or not only_ready]

    def forced_arm(self, name: str, version: str) -> str:
        """Return the arm to force so that `version` answers; "" where it does anyway.

        Raises:
            UnderstudyError: As `model`.
        """
        if not version:
            self._check_name(name)
            return ""
        self.model(name, version)
        route = self._route(name)
        if all(str(arm.release) == version for arm in route.arms if arm.weight > 0):
            return ""
        return next(arm.name for arm in route.arms if str(arm.release) == version)

    def _route(self, name: str) -> Route:
        self._check_name(name)
        return self._table().route(name)

    def _check_name(self, name: str) -> None:
        if not 1 <= len(name) <= MAX_NAME_LENGTH:
            raise InvalidField(
                "model_name",
                f"model_name: {len(name)} characters must be 1 to {MAX_NAME_LENGTH}; name a route",
            )


def _versions(route: Route) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(arm.release) for arm in route.arms))


def _entry(table: RouteTable, route: Route, version: str, reason: str | None) -> IndexEntry:
    if reason is None:
        key = next(arm.release for arm in route.arms if str(arm.release) == version)
        release = table.releases.get(key)
        if release is None:
            reason = "this gateway does not know the release yet"
        elif release.state not in _ANSWERS:
            reason = f"the release is {release.state}"
    if reason is None:
        return IndexEntry(route.name, version, "READY", "")
    return IndexEntry(route.name, version, "UNAVAILABLE", reason)
