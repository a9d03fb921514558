"""What an operator may set: by environment variable (UNDERSTUDY_...), or by option of `serve`."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def home() -> Path:
    """Return where keys and state lie: UNDERSTUDY_HOME, else ~/.understudy."""
    return Path(os.environ.get("UNDERSTUDY_HOME", "~/.understudy")).expanduser()


Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """Everything `understudy serve` reads; only `serving.app` does.

    Attributes:
        state_dir: Store, admin key, private copies of archives; made when missing.
        model_store: Where archives are deployed from.
        trusted_keys: Public keys (PEM) that may have signed an archive; in the environment
            separated as in PATH.
        host: Address of the three listeners.
        http_port: For cameras; 0 takes any free port.
        grpc_port: For cameras.
        admin_port: For operators.
        image_limit_bytes: Largest encoded image.
        waiting_room: Frames that may wait for each release before 429.
        stop_timeout_s: How long requests under way may take after SIGTERM.
        auth: False: nobody needs a key (--no-auth).
        ready_file: Written when everything listens, JSON with the actual ports.
    """

    model_config = SettingsConfigDict(env_prefix="UNDERSTUDY_", frozen=True, extra="forbid")

    state_dir: Path = Field(default_factory=lambda: home() / "serve")
    model_store: Path = Path("model_store")
    trusted_keys: Annotated[tuple[Path, ...], NoDecode] = Field(
        default_factory=lambda: (home() / "signing-key.pub.pem",)
    )
    host: str = "127.0.0.1"
    http_port: Port = 8080
    grpc_port: Port = 8090
    admin_port: Port = 8081
    # TorchServe's own default limit is 6,553,500 bytes, query and headers included.
    image_limit_bytes: int = Field(default=6 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    waiting_room: int = Field(default=128, ge=0, le=10_000)
    stop_timeout_s: float = Field(default=30.0, gt=0, le=600)
    auth: bool = True
    ready_file: Path | None = None

    @field_validator("trusted_keys", mode="before")
    @classmethod
    def _as_in_path(cls, value: Any) -> Any:
        return tuple(value.split(os.pathsep)) if isinstance(value, str) else value

    @field_validator("state_dir", "model_store", "ready_file", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        # TorchServe runs in a folder of its own.
        return None if value is None else value.expanduser().absolute()

    @field_validator("trusted_keys", mode="after")
    @classmethod
    def _all_absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(path.expanduser().absolute() for path in value)

    @property
    def archives(self) -> Path:
        """Where the private copies of archives lie."""
        return self.state_dir / "archives"

    @property
    def store_url(self) -> str:
        """SQLAlchemy's URL of the store."""
        return f"sqlite+aiosqlite:///{self.state_dir / 'store.sqlite3'}"


def explain(error: ValidationError) -> str:
    """Return what is wrong with a setting: its name, its variable, its limit and its value."""
    first = error.errors()[0]
    name = "_".join(map(str, first["loc"]))
    return f"{name} (UNDERSTUDY_{name.upper()}): {first['msg']}, not {first['input']!r}"
