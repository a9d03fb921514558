"""What a search recommends, with all that it depends on, as settings that `deploy` takes."""

import subprocess
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from serving.controlplane.archives import Archive
from serving.machine import Machine
from serving.tuning.deploy_settings import DeployOptions, DeploySettings, Tuned
from serving.tuning.findings import Point

_ENGINES = ("torchserve", "onnxruntime-gpu", "onnxruntime", "openvino", "torch")
_ROOT = Path(__file__).parents[2]


def recorded(
    point: Point, archive: Archive, *, frames: str, p99_ms: float, busy_cores: float
) -> DeploySettings:
    """Return a point as deploy settings.

    Args:
        point: What was chosen.
        archive: It was measured with.
        frames: Which were sent.
        p99_ms: The target.
        busy_cores: What else the machine was doing.
    """
    measured = point.measured
    return DeploySettings(
        deploy=DeployOptions(**asdict(point.wanted)),
        tuned=Tuned(
            release=str(archive.key),
            sha256=archive.sha256,
            frames=frames,
            frames_per_s=round(measured.frames_per_s, 2),
            p50_ms=round(measured.p50_ms, 1),
            p99_ms=round(measured.p99_ms, 1),
            p99_target_ms=p99_ms,
            answered=measured.answered,
            seconds=round(measured.seconds, 1),
            confirmed=point.confirmed,
            busy_cores=round(busy_cores, 1),
            finished=datetime.now(UTC).replace(microsecond=0),
            understudy=_version("understudy") or "unknown",
            commit=_commit(),
            engines={name: found for name in _ENGINES if (found := _version(name))},
        ),
        machine=Machine.here(),
    )


def _version(package: str) -> str | None:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def _commit() -> str | None:
    """Return the commit of this code, "+" where it differs; None: it is in no repository."""
    if not (_ROOT / ".git").exists():
        return None
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],  # noqa: S607 - the user's
            cwd=_ROOT,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return done.stdout.strip() or None
    return None
