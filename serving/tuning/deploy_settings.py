"""How an archive is to be deployed, as a file: `understudy tune` writes it, `deploy` takes it."""

from datetime import datetime
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.errors import ConfigurationError
from serving.machine import Machine
from serving.whole_file import write_whole


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeployOptions(_Section):
    """What the admin API takes beside the archive; it checks the limits.

    Attributes:
        workers: How many processes.
        threads: Of a run of the model; None: the workers share the cores.
        batch_size: The largest batch.
        batch_delay_ms: How long a worker waits for a batch to fill.
        variant: One of the card's, or "auto".
    """

    workers: int = Field(default=1, ge=1)
    threads: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=8, ge=1)
    batch_delay_ms: int = Field(default=0, ge=0)
    variant: str = "auto"


class Tuned(_Section):
    """What was measured with these options, and when.

    Attributes:
        release: NAME-VERSION of the archive.
        sha256: Of the archive.
        frames: Which frames were sent.
        frames_per_s: That arrived, at random moments, and were answered.
        p50_ms: From a frame's arrival to its answer, gateway not included.
        p99_ms: Likewise.
        p99_target_ms: What was asked for.
        answered: Frames, in this measurement.
        seconds: It took.
        confirmed: Whether it was measured once more, for longer, as these figures then are.
        busy_cores: What else this machine was doing before, in cores.
        finished: When, UTC.
        understudy: Version of this package.
        commit: Of its repository, "+" where the tree differed; None: it was installed from no
            repository.
        engines: Versions of TorchServe and of the runtimes.
    """

    release: str
    sha256: str
    frames: str
    frames_per_s: float
    p50_ms: float
    p99_ms: float
    p99_target_ms: float
    answered: int
    seconds: float
    confirmed: bool
    busy_cores: float
    finished: datetime
    understudy: str
    commit: str | None
    engines: dict[str, str]


class DeploySettings(_Section):
    """The file; one that was written by hand needs `deploy` only.

    Attributes:
        deploy: How to deploy.
        tuned: What was measured so.
        machine: On which.
    """

    deploy: DeployOptions
    tuned: Tuned | None = None
    machine: Machine | None = None

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file.

        Raises:
            ConfigurationError: It cannot be read, or is none; the message names the first fault.
        """
        try:
            document = yaml.safe_load(file.read_text(encoding="utf-8"))
            return cls.model_validate(document)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not text"
            raise ConfigurationError(f"settings: {file} cannot be read: {why}") from error
        except yaml.YAMLError as error:
            raise ConfigurationError(f"settings: {file} is not YAML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise ConfigurationError(f"settings: {file}: {where}: {first['msg']}") from error

    def write(self, file: Path, heading: str) -> None:
        """Write it, replacing what is there.

        Args:
            file: Its folder exists.
            heading: A comment above it.

        Raises:
            ConfigurationError: It cannot be written.
        """
        text = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        try:
            write_whole(file, f"# {heading}\n{text}", mode=0o644)
        except OSError as error:
            message = f"settings: {file} cannot be written: {error.strerror}"
            raise ConfigurationError(message) from error

    def doubts(
        self, release: str, sha256: str, machine: Machine | None, backends: int = 1
    ) -> list[str]:
        """Return why what was measured may not hold for a deployment, a sentence each.

        Args:
            release: That was deployed.
            sha256: Of its archive.
            machine: Its workers run on; None: not known.
            backends: How many TorchServes of that machine run it, each with these workers.
        """
        doubts = []
        if self.tuned is not None and (self.tuned.release, self.tuned.sha256) != (release, sha256):
            same = "another archive of " if self.tuned.release == release else ""
            doubts.append(f"they were tuned for {same}{self.tuned.release}, not for this {release}")
        if self.machine is not None and machine is not None:
            others = machine.differences(self.machine)
            if others:
                doubts.append(
                    f"they were tuned on another kind of machine ({'; '.join(others)}): run "
                    "`understudy tune` on this one"
                )
        if self.tuned is not None and backends > 1:
            doubts.append(
                f"they were tuned for one backend, and {backends} share this machine, each with "
                f"{self.deploy.workers} workers: give --workers "
                f"{max(1, self.deploy.workers // backends)}"
            )
        return doubts
