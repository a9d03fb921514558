"""Which build a process runs, for Prometheus."""

import platform
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Info


def show_build(registry: CollectorRegistry) -> None:
    """Add `understudy_build_info` to a process's metrics."""
    Info("understudy_build", "This build", registry=registry).info(
        {"version": version("understudy"), "python": platform.python_version()}
    )
