"""What an operator may set: by environment variable (UNDERSTUDY_...), or by option of `serve`."""

import os
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from serving.access.settings import AccessSettings
from serving.dataplane.harvest_plan import HarvestPlan
from serving.logs.styles import LogFormat, LogLevel
from serving.parts import Part


def home() -> Path:
    """Return where keys and state lie: UNDERSTUDY_HOME, else ~/.understudy."""
    return Path(os.environ.get("UNDERSTUDY_HOME", "~/.understudy")).expanduser()


# Query, headers and framing beside the image in a request to TorchServe.
_REQUEST_ROOM_BYTES = 256 * 1024
_SQLITE = "sqlite+aiosqlite:///"
_DNS = "dns:"

Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(AccessSettings):
    """Everything `understudy serve` reads; only `serving.app` does.

    Who gets in is said in `AccessSettings`.

    Attributes:
        state_dir: Store, admin key, private copies of archives; made when missing.
        model_store: Where archives are deployed from.
        trusted_keys: Public keys (PEM) that may have signed an archive; in the environment
            separated as in PATH.
        store_url: SQLAlchemy's URL of the store: sqlite+aiosqlite:///FILE, or
            postgresql+psycopg://... where several hosts share it. It may hold a password: better in
            the environment than on the command line, best in a file UNDERSTUDY_STORE_URL of the
            folder UNDERSTUDY_SECRETS_DIR.
        migrate: Whether a store of an earlier version is brought up to date at the start; else it
            is refused until `understudy migrate` has run.
        host: Address of the listeners.
        http_port: For cameras; 0 takes any free port.
        grpc_port: For cameras.
        admin_port: For operators.
        metrics_port: For Prometheus: every process's metrics in one text.
        gateways: Processes that answer cameras, on the same ports.
        backends: TorchServe instances; each runs every release.
        part: What of all this runs here; the other parts run on other machines.
        workers: Hosts where `understudy serve worker` runs, in place of `backends`; separated by
            commas or spaces in the environment. `dns:NAME` stands for whatever hosts NAME resolves
            to, asked again every two seconds.
        worker_port: Of a worker, for the controller.
        inference_port: Of a worker, for the gateways' frames.
        worker_key_file: Holds the secret that the controller shows to the workers.
        image_limit_bytes: Largest encoded image.
        image_budget_bytes: Images that a gateway holds at once, all together, before 429.
        connection_age_s: After about this long a camera's stream is asked to connect again, so that
            cameras spread over the gateways that there are.
        waiting_room: Frames that may wait for each release before 429.
        stop_timeout_s: How long requests under way may take after SIGTERM.
        harvest_dir: Where frames are kept on which the arms disagree; None: none are. They show
            people.
        harvest_below_f1: A frame is kept when the arms' agreement is below this.
        harvest_max_per_minute: Most frames that a gateway keeps in a minute.
        harvest_max_per_minute_of_camera: Likewise, of one camera.
        harvest_max_mb: Size of all kept frames, in 10^6 bytes; the oldest go first.
        harvest_max_age_days: Age of the oldest kept frame.
        log_format: json, console (for people), or auto: console where standard error is a terminal.
        log_level: The least that is said: debug, info, warning or error.
        log_slow_ms: An answer that took longer gets a line of the log; 0: none does.
        log_answers: Share of all answers that get a line, 0 to 1.
        tracing: Send spans to OTEL_EXPORTER_OTLP_ENDPOINT; unset: where one of OpenTelemetry's own
            variables asks for it.
        tracing_share: Of the frames that are traced, 0 to 1; OTEL_TRACES_SAMPLER wins.
        console: Whether operators find the console at /console of the admin port.
        ready_file: Written when everything listens, JSON with the actual ports.
    """

    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_", frozen=True, extra="forbid")

    state_dir: Path = Field(default_factory=lambda: home() / "serve")
    model_store: Path = Path("model_store")
    trusted_keys: Annotated[tuple[Path, ...], NoDecode] = Field(
        default_factory=lambda: (home() / "signing-key.pub.pem",)
    )
    store_url: str = Field(default_factory=lambda given: _sqlite(given["state_dir"]), repr=False)
    migrate: bool = True
    host: str = "127.0.0.1"
    http_port: Port = 8080
    grpc_port: Port = 8090
    admin_port: Port = 8081
    metrics_port: Port = 8083
    gateways: int = Field(default=1, ge=1, le=64)
    backends: int = Field(default=1, ge=1, le=16)
    part: Part = Part.ALL
    workers: Annotated[tuple[str, ...], NoDecode] = ()
    worker_port: Port = 8084
    inference_port: Port = 8085
    worker_key_file: Path | None = None
    # TorchServe's own default limit is 6,553,500 bytes, query and headers included.
    image_limit_bytes: int = Field(default=6 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    image_budget_bytes: int = Field(default=256 * 1024 * 1024, ge=1024 * 1024, le=64 * 1024**3)
    connection_age_s: float = Field(default=1800.0, ge=1, le=30 * 86_400)
    waiting_room: int = Field(default=128, ge=0, le=10_000)
    stop_timeout_s: float = Field(default=30.0, gt=0, le=600)
    harvest_dir: Path | None = None
    harvest_below_f1: float = Field(default=0.5, gt=0, le=1)
    harvest_max_per_minute: int = Field(default=10, ge=1, le=6000)
    harvest_max_per_minute_of_camera: int = Field(default=2, ge=1, le=6000)
    harvest_max_mb: int = Field(default=1000, ge=1)
    harvest_max_age_days: float = Field(default=30, gt=0, le=3650)
    log_format: LogFormat = LogFormat.AUTO
    log_level: LogLevel = LogLevel.INFO
    log_slow_ms: float = Field(default=1000, ge=0)
    log_answers: float = Field(default=0, ge=0, le=1)
    tracing: bool | None = None
    tracing_share: float = Field(default=0.01, ge=0, le=1)
    console: bool = True
    ready_file: Path | None = None

    @field_validator("trusted_keys", mode="before")
    @classmethod
    def _as_in_path(cls, value: Any) -> Any:
        return tuple(value.split(os.pathsep)) if isinstance(value, str) else value

    @field_validator("workers", mode="before")
    @classmethod
    def _as_words(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("workers", mode="after")
    @classmethod
    def _names_are_given(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if _DNS in value:
            raise ValueError(f"{_DNS} needs a name right after it, as in {_DNS}workers.example")
        return value

    @field_validator("state_dir", "model_store", "harvest_dir", "ready_file", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        # TorchServe runs in a folder of its own.
        return None if value is None else value.expanduser().absolute()

    @field_validator("trusted_keys", mode="after")
    @classmethod
    def _all_absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(path.expanduser().absolute() for path in value)

    @field_validator("store_url", mode="after")
    @classmethod
    def _absolute_file(cls, value: str) -> str:
        # The processes have working directories of their own.
        _, prefix, file = value.partition(_SQLITE)
        return f"{prefix}{Path(file).absolute()}" if prefix and file else value

    @model_validator(mode="after")
    def _parts_share_a_store_and_workers(self) -> Self:
        if self.part in {Part.GATEWAY, Part.CONTROLLER}:
            alone = f"`understudy serve {self.part}` runs without the other parts: set"
            if not self.workers:
                raise ValueError(f"{alone} UNDERSTUDY_WORKERS to the hosts of its workers")
            if "store_url" not in self.model_fields_set:
                raise ValueError(f"{alone} UNDERSTUDY_STORE_URL to the store that all share")
        return self

    @property
    def worker_hosts(self) -> tuple[str, ...]:
        """Hosts of workers by their names."""
        return tuple(one for one in self.workers if not one.startswith(_DNS))

    @property
    def worker_names(self) -> tuple[str, ...]:
        """DNS names each of whose addresses is a worker."""
        return tuple(one.removeprefix(_DNS) for one in self.workers if one.startswith(_DNS))

    @property
    def request_bytes(self) -> int:
        """Largest request that TorchServe takes."""
        return self.image_limit_bytes + _REQUEST_ROOM_BYTES

    @property
    def archives(self) -> Path:
        """Where the private copies of archives lie."""
        return self.state_dir / "archives"

    @property
    def store_file(self) -> Path | None:
        """SQLite's file; None where the store is a server's."""
        _, prefix, file = self.store_url.partition(_SQLITE)
        return Path(file) if prefix and file else None

    @property
    def harvest_plan(self) -> HarvestPlan | None:
        """What is harvested; None: nothing."""
        if self.harvest_dir is None:
            return None
        return HarvestPlan(
            folder=self.harvest_dir,
            below_f1=self.harvest_below_f1,
            max_per_minute=self.harvest_max_per_minute,
            max_per_minute_of_camera=self.harvest_max_per_minute_of_camera,
            max_bytes=self.harvest_max_mb * 10**6,
            max_age_days=self.harvest_max_age_days,
        )


def _sqlite(state_dir: Path) -> str:
    return f"{_SQLITE}{state_dir / 'store.sqlite3'}"


def read_settings(**given: Any) -> Settings:
    """Return what was set: as arguments, else in the environment, else in a file.

    A file of the folder UNDERSTUDY_SECRETS_DIR is called as the variable is: UNDERSTUDY_STORE_URL.

    Args:
        given: By their names.

    Raises:
        ValidationError: A setting is not within its limits.
    """
    return Settings(_secrets_dir=os.environ.get("UNDERSTUDY_SECRETS_DIR"), **given)


def explain(error: ValidationError) -> str:
    """Return what is wrong with a setting: its name, its variable, its limit and its value."""
    first = error.errors()[0]
    if not first["loc"]:  # of several settings together
        return first["msg"].removeprefix("Value error, ")
    name = "_".join(map(str, first["loc"]))
    return f"{name} (UNDERSTUDY_{name.upper()}): {first['msg']}, not {first['input']!r}"
