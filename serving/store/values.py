"""What the store holds, as frozen values; both planes speak of these and of nothing else."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
STICKY_PATTERN = r"^(camera|none|header:[a-z0-9-]{1,64})$"
# A percentage.
MAX_WEIGHT = 100
NAME_RULE = "1 to 63 of a-z, 0-9, '.', '_', '-', and begin with a letter or digit"

MAX_REVISION = 2**63 - 1


def _must_be_number(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("Input should be a number")  # noqa: TRY004 - pydantic's way to refuse
    return value


Whole = Annotated[int, BeforeValidator(_must_be_number)]
"""A whole number as JSON schema has it: neither true nor "1", which pydantic takes for one."""
Number = Annotated[float, BeforeValidator(_must_be_number)]
"""Likewise, perhaps with a fraction."""


class Frozen(BaseModel):
    """A value: never mutated, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReleaseKey(Frozen):
    """Which archive: a model's name and version."""

    model: str = Field(pattern=NAME_PATTERN)
    version: str = Field(pattern=r"^[0-9]+(\.[0-9]+){0,2}$")

    def __str__(self) -> str:
        return f"{self.model}-{self.version}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "MODEL-VERSION"; the version is what follows the last dash.

        Raises:
            ValueError: It does not read so (pydantic's ValidationError is one).
        """
        model, _, version = text.rpartition("-")
        return cls(model=model, version=version)


class Arm(Frozen):
    """One side of a route.

    Attributes:
        name: "teacher", "student" or what the operator calls it.
        release: What answers here.
        weight: Share of the keys in percent; the arms of a route sum to 100.
    """

    name: str = Field(pattern=NAME_PATTERN)
    release: ReleaseKey
    weight: float = Field(ge=0, le=MAX_WEIGHT)


class Shadow(Frozen):
    """Frames that a second arm answers too, unheard, to compare the two.

    Attributes:
        arm: One of the route's; frames that it answered itself are not shadowed.
        rate: Share of the frames, above 0 and at most 1.
    """

    arm: str = Field(pattern=NAME_PATTERN)
    rate: float = Field(gt=0, le=1)


class Fallback(Frozen):
    """Who answers where an arm fails or is full.

    Attributes:
        arm: One of the route's.
        budget: Share of the route's requests that may be handed over, 0 to 1.
    """

    arm: str = Field(pattern=NAME_PATTERN)
    budget: float = Field(default=0.2, ge=0, le=1)


class Route(Frozen):
    """Desired state: which arm answers which camera.

    Attributes:
        name: What a request names; "default" otherwise.
        arms: In a fixed order: raising a later arm's weight only moves keys to it.
        sticky: What the split hashes: the camera id, a header ("header:x-site"; over gRPC the
            metadata of that name), or nothing (each request for itself).
        timeout_s: Deadline of a request that brings none.
        shadow: Which arm answers frames of the others too; None: none.
        fallback: Which arm answers where another fails or is full; None: none.
    """

    name: str = Field(default="default", pattern=NAME_PATTERN)
    arms: tuple[Arm, ...] = Field(min_length=1, max_length=8)
    sticky: str = Field(default="camera", pattern=STICKY_PATTERN)
    timeout_s: float = Field(default=10.0, gt=0, le=120)
    shadow: Shadow | None = None
    fallback: Fallback | None = None

    @model_validator(mode="after")
    def _weights_and_names(self) -> Self:
        total = sum(arm.weight for arm in self.arms)
        if abs(total - 100) > 1e-6:
            raise ValueError(f"arms.weight: the weights sum to {total:g}; they must sum to 100")
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError(f"arms.name: {names} holds a name twice; each arm needs its own")
        for field, part in (("shadow", self.shadow), ("fallback", self.fallback)):
            if part is not None and part.arm not in names:
                raise ValueError(f"{field}.arm: no arm {part.arm!r} here, only {', '.join(names)}")
        return self

    def arm(self, name: str) -> Arm | None:
        """Return the arm of this name, or None."""
        return next((arm for arm in self.arms if arm.name == name), None)

    def releases(self) -> frozenset[ReleaseKey]:
        """Every release an arm names, weight 0 included (a forced arm reaches it)."""
        return frozenset(arm.release for arm in self.arms)


class RouteRevision(Frozen):
    """A route as it stood from one change to the next.

    Attributes:
        revision: Counts every change of every route of the store, from 1.
        route: The desired state.
        at: When, UTC.
        who: The key's name, or "bootstrap".
        why: The operator's words.
    """

    revision: int
    route: Route
    at: datetime
    who: str
    why: str


class ReleaseState(StrEnum):
    """Where a release stands; the arrows are in `serving.controlplane.releases`."""

    STAGED = "staged"
    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    LIVE = "live"
    STANDBY = "standby"
    DRAINING = "draining"
    RETIRED = "retired"
    FAILED = "failed"


AUTO = "auto"
"""In place of a variant's name: the workers take the fastest that answers rightly."""


class Release(Frozen):
    """An archive that was handed to this deployment.

    Attributes:
        key: Name and version.
        sha256: Of the whole archive; the private copy is named by it.
        role: "teacher" or "student".
        class_names: Index = class id.
        operating_thresholds: One a class.
        quality_measured: Whether the card's quality is more than a claim.
        state: Where it stands.
        reason: Why it failed or was moved; "" otherwise.
        workers: How many worker processes it runs on.
        batch_size: Largest batch TorchServe forms for it.
        batch_delay_ms: How long a worker waits for a batch to fill.
        threads: Of a run of its model; None: the workers share the cores.
        variant: Which of the card's its workers serve; "auto": the fastest on each machine.
        created: When it was first handed over, UTC.
        updated: When it last moved, UTC.
    """

    key: ReleaseKey
    sha256: str
    role: Literal["teacher", "student"]
    class_names: tuple[str, ...]
    operating_thresholds: tuple[float, ...]
    quality_measured: bool
    state: ReleaseState
    reason: str = ""
    workers: int = Field(default=1, ge=1, le=64)
    batch_size: int = Field(default=8, ge=1, le=256)
    batch_delay_ms: int = Field(default=0, ge=0, le=1000)
    threads: int | None = Field(default=None, ge=1, le=256)
    variant: str = AUTO
    created: datetime
    updated: datetime


class Scope(StrEnum):
    """What a key may do; each holds the ones before it."""

    DETECT = "detect"
    OPERATE = "operate"
    ADMIN = "admin"

    def reaches(self, needed: "Scope") -> bool:
        """Whether a key of this scope may do what `needed` asks for."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


class ApiKey(Frozen):
    """A key as the store knows it: its secret only as a slow hash.

    Attributes:
        id: Public part, in every key before its secret.
        name: Who holds it.
        scope: What it may do.
        salt: Of the hash.
        hash: scrypt of the secret.
        created: UTC.
        expires: UTC, or never.
        revoked: UTC, or not.
        frames_per_second: What each gateway process answers its holders; None: no limit.
    """

    id: str
    name: str
    scope: Scope
    salt: bytes
    hash: bytes
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    frames_per_second: float | None = Field(default=None, gt=0, le=100_000)


class GatewayStatus(Frozen):
    """A gateway's last heartbeat.

    Attributes:
        id: Unique to the process.
        started: UTC.
        heartbeat: UTC, by the database's clock.
        beat: Counts its heartbeats: one that stands still is silent, whatever the clocks say.
        revision: The newest revision it has applied; -1 before the first.
        in_flight: Requests it has sent and not yet got back, by "MODEL-VERSION".
    """

    id: str
    started: datetime
    heartbeat: datetime
    beat: int
    revision: int
    in_flight: dict[str, int]


class Lease(Frozen):
    """Who leads the control plane.

    Attributes:
        holder: Unique to the process.
        epoch: Grows with each holder; what was begun at an older one must not be finished.
        expires: UTC, by the database's clock.
    """

    holder: str
    epoch: int
    expires: datetime


class AuditEntry(Frozen):
    """Who did what, when and why."""

    at: datetime
    who: str
    action: str
    subject: str
    detail: str
