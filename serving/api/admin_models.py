"""What the admin API takes and gives."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.api.complaints import complaint
from serving.errors import InvalidRoute
from serving.machine import Machine
from serving.store.values import (
    AUTO,
    MAX_REVISION,
    MAX_WEIGHT,
    NAME_PATTERN,
    Arm,
    AuditEntry,
    GatewayStatus,
    Number,
    Release,
    ReleaseKey,
    ReleaseState,
    Route,
    RouteRevision,
    Whole,
)
from serving.torchserve.registration import Registration

_STICKY = "what the split hashes: camera, none, or header:NAME in lower case"
Revision = Annotated[Whole, Field(ge=0, le=MAX_REVISION)]


class Message(BaseModel):
    """Unknown fields are refused: a misspelt one would else be a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeployRequest(Message):
    """Which archive to deploy."""

    path: str = Field(
        description="NAME-VERSION.mar in the server's model store, or a path below it",
        examples=["student-1.0.mar"],
    )
    workers: Whole | None = Field(
        default=None,
        ge=1,
        le=64,
        description="worker processes, as many as fit into each machine's free memory; null: 1, or "
        "as many as the release has if it is loaded",
    )
    batch_size: Whole = Field(default=8, ge=1, le=256, description="largest batch")
    batch_delay_ms: Whole = Field(
        default=0, ge=0, le=1000, description="how long a worker waits for a batch to fill"
    )
    threads: Whole | None = Field(
        default=None,
        ge=1,
        le=256,
        description="of a run of the model; null: the workers of a machine share its cores",
    )
    variant: str = Field(
        default=AUTO,
        min_length=1,
        max_length=63,
        description="one of the card's variants; auto: the fastest on the worker's machine",
        examples=["openvino-int8"],
    )


class ReleaseInfo(Message):
    """A release as it stands."""

    release: str = Field(examples=["student-1.0"])
    role: Literal["teacher", "student"]
    state: ReleaseState
    reason: str
    workers: int
    batch_size: int
    batch_delay_ms: int
    threads: int | None = Field(description="of a run of the model; null: not asked for")
    variant: str = Field(description="which of the card's variants was asked for, or auto")
    quality_measured: bool
    class_names: tuple[str, ...]
    sha256: str
    created: datetime
    updated: datetime

    @classmethod
    def of(cls, release: Release) -> Self:
        """Return what is told of a release."""
        values = release.model_dump(exclude={"key", "operating_thresholds"})
        return cls(release=str(release.key), **values)


class ArmInfo(Message):
    """One arm of a route."""

    name: str = Field(pattern=NAME_PATTERN, examples=["student"])
    release: str = Field(description="MODEL-VERSION", examples=["student-1.0"])
    weight: Number = Field(description="percent; a route's weights sum to 100", examples=[100.0])


class ShadowInfo(Message):
    """An arm that answers frames of the others too, unheard."""

    arm: str = Field(examples=["student"])
    rate: Number = Field(description="share of the frames, above 0 and at most 1", examples=[0.1])


class FallbackInfo(Message):
    """Who answers where an arm fails or is full."""

    arm: str = Field(examples=["teacher"])
    budget: Number = Field(
        default=0.2, description="share of the requests that may be handed over, 0 to 1"
    )


class RouteRequest(Message):
    """A route's wanted state."""

    arms: tuple[ArmInfo, ...]
    sticky: str = Field(default="camera", description=_STICKY)
    timeout_s: Number = 10.0
    shadow: ShadowInfo | None = None
    fallback: FallbackInfo | None = None
    why: str = Field(default="", max_length=1000)
    expected_revision: Revision | None = Field(
        default=None, description="refuse when the route is at another revision by now"
    )

    def route(self, name: str) -> Route:
        """Return the route that is asked for.

        Raises:
            InvalidRoute: It breaks a rule; the first one is told.
        """
        try:
            arms = tuple(_arm(arm) for arm in self.arms)
            return Route.model_validate(
                {
                    "name": name,
                    "arms": arms,
                    "sticky": self.sticky,
                    "timeout_s": self.timeout_s,
                    "shadow": self.shadow and self.shadow.model_dump(),
                    "fallback": self.fallback and self.fallback.model_dump(),
                }
            )
        except ValidationError as error:
            first = error.errors()[0]
            message = complaint(first)
            field = ".".join(map(str, first["loc"])) or message.partition(":")[0]
            prefix = "" if message.startswith(field) else f"{field}: "
            raise InvalidRoute(field, f"{prefix}{message}") from error


class RouteInfo(Message):
    """One revision of a route."""

    name: str
    revision: int
    arms: tuple[ArmInfo, ...]
    sticky: str = Field(description=_STICKY)
    timeout_s: float
    shadow: ShadowInfo | None
    fallback: FallbackInfo | None
    at: datetime
    who: str
    why: str

    @classmethod
    def of(cls, revision: RouteRevision) -> Self:
        """Return what is told of a revision."""
        route = revision.route
        return cls(
            name=route.name,
            revision=revision.revision,
            arms=tuple(
                ArmInfo(name=arm.name, release=str(arm.release), weight=arm.weight)
                for arm in route.arms
            ),
            sticky=route.sticky,
            timeout_s=route.timeout_s,
            shadow=route.shadow and ShadowInfo(**route.shadow.model_dump()),
            fallback=route.fallback and FallbackInfo(**route.fallback.model_dump()),
            at=revision.at,
            who=revision.who,
            why=revision.why,
        )


class PromoteRequest(Message):
    """Which arm gets everything."""

    arm: str
    why: str = Field(default="", max_length=1000)


class RollbackRequest(Message):
    """How far to go back."""

    revision: Revision | None = Field(default=None, description="none: the newest that differs")
    why: str = Field(default="", max_length=1000)


class RunningInfo(Message):
    """What one backend runs."""

    backend: str
    release: str
    batch_size: int
    workers: int
    ready_workers: int
    worker_pids: tuple[int, ...] = Field(description="on the machine that TorchServe runs on")

    @classmethod
    def of(cls, backend: str, registration: Registration) -> Self:
        """Return what is told of a registration in a backend."""
        return cls(
            backend=backend,
            release=str(registration.key),
            batch_size=registration.batch_size,
            workers=len(registration.workers),
            ready_workers=registration.ready_workers,
            worker_pids=tuple(worker.pid for worker in registration.workers),
        )


class BackendInfo(Message):
    """One TorchServe."""

    name: str
    answers: bool
    here: bool = Field(default=True, description="whether on the controller's machine")


class StatusInfo(Message):
    """The deployment at a glance; `running` is null while no backend answers."""

    revision: int
    leads: bool = Field(description="whether this controller is the one that moves things")
    routes: tuple[RouteInfo, ...]
    releases: tuple[ReleaseInfo, ...]
    machine: Machine = Field(description="what it runs on")
    backends: tuple[BackendInfo, ...]
    running: tuple[RunningInfo, ...] | None
    draining: tuple[str, ...]
    gateways: tuple[GatewayStatus, ...]


class AuditLog(Message):
    """The newest entries, newest first."""

    entries: tuple[AuditEntry, ...]


def _arm(arm: ArmInfo) -> Arm:
    if not 0 <= arm.weight <= MAX_WEIGHT:
        field = f"arms.{arm.name}.weight"
        raise InvalidRoute(field, f"{field}: {arm.weight:g} must be 0 to {MAX_WEIGHT}, in percent")
    return Arm(name=arm.name, release=_key(arm), weight=arm.weight)


def _key(arm: ArmInfo) -> ReleaseKey:
    field = f"arms.{arm.name}.release"
    try:
        return ReleaseKey.parse(arm.release)
    except ValueError as error:
        raise InvalidRoute(
            field, f"{field}: {arm.release!r} is not MODEL-VERSION, as in student-1.0"
        ) from error
