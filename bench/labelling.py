"""`python -m bench.labelling`: what `understudy label` costs, and whether its memory is flat.

Two labellings, one of ten times as many frames as the other: frames a second of a core's own time,
and the most memory that the command and its largest worker ever held.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from bench.provenance import PROJECT_ROOT, provenance
from distill_jobs.environment import data_root
from distill_jobs.files import write_json

COMMAND = "python -m bench.labelling"
RESULT = PROJECT_ROOT / "runs" / "bench-labelling" / "labelling.json"
_TIMES = 10
_LOOK_S = 0.2
_MIB = 2**20
# How Ray calls a process that has run a task of ours.
_TASK = "ray::"

console = Console()


@dataclass
class Usage:
    """What processes were seen to use.

    Attributes:
        driver_mib: Most resident memory of the command itself.
        worker_mib: Most of any process that labels.
        all_mib: Most of all together, Ray's own included; what they share is counted for each.
        cpu_s: Processor time of each process, as last seen, by its id.
    """

    driver_mib: float = 0.0
    worker_mib: float = 0.0
    all_mib: float = 0.0
    cpu_s: dict[int, float] = field(default_factory=dict)

    def look(self, driver: psutil.Process) -> None:
        """Look once; a process that ends meanwhile is none any more."""
        together = 0.0
        for one in [driver, *driver.children(recursive=True)]:
            try:
                mib, times, name = one.memory_info().rss / _MIB, one.cpu_times(), one.cmdline()
            except psutil.Error:
                continue
            together += mib
            self.cpu_s[one.pid] = times.user + times.system
            if one.pid == driver.pid:
                self.driver_mib = max(self.driver_mib, mib)
            elif name and name[0].startswith(_TASK):
                self.worker_mib = max(self.worker_mib, mib)
        self.all_mib = max(self.all_mib, together)


def main(
    frames: Annotated[int, typer.Option(help="Of the smaller labelling.", min=10)] = 500,
    image_size: Annotated[int, typer.Option(help="Of the teacher's input.")] = 320,
    teacher: Annotated[Path | None, typer.Option(help="Default: yolov8s.pt.")] = None,
    workers: Annotated[int, typer.Option(help="Teachers at once.", min=1)] = 2,
) -> None:
    """Label frames and ten times as many, and compare."""
    weights = teacher or data_root() / "weights" / "yolov8s.pt"
    rows = [_measured(count, weights, image_size, workers) for count in (frames, _TIMES * frames)]
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:g}" for value in row.values()))
    console.print(table)
    settings = {"teacher": weights.name, "image_size": image_size, "workers": workers}
    write_json(RESULT, {**provenance(COMMAND), **settings, "labellings": rows})


def _measured(count: int, weights: Path, image_size: int, workers: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench-labelling-") as scratch:
        images = _images(Path(scratch) / "in", count)
        out = Path(scratch) / "out"
        program = str(Path(sys.executable).with_name("understudy"))
        given = ["--teacher", str(weights), "--image-size", str(image_size)]
        given += ["--workers", str(workers), "--out", str(out)]
        began = time.monotonic()
        process = subprocess.Popen(
            [program, "label", str(images), *given], stdout=subprocess.DEVNULL, env=os.environ
        )
        usage, driver = Usage(), psutil.Process(process.pid)
        while process.poll() is None:
            usage.look(driver)
            time.sleep(_LOOK_S)
        if process.returncode != 0:
            raise typer.Exit(process.returncode)
        elapsed_s = time.monotonic() - began
        kept = len((out / "images.txt").read_text(encoding="utf-8").splitlines())
    cpu_s = sum(usage.cpu_s.values())
    return {
        "frames": kept,
        "seconds": round(elapsed_s, 1),
        "frames_per_cpu_s": round(kept / cpu_s, 2),
        "driver_mib": round(usage.driver_mib),
        "worker_mib": round(usage.worker_mib),
        "all_mib": round(usage.all_mib),
    }


def _images(folder: Path, count: int) -> Path:
    """Copy COCO images so often that there are enough, each with another comment in its file."""
    folder.mkdir()
    sources = sorted((data_root() / "coco256" / "images").rglob("*.jpg"))
    for number, source in enumerate(islice(cycle(sources), count)):
        data = source.read_bytes()
        comment = f"{number:08}".encode()
        head = data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        (folder / f"{number:08}.jpg").write_bytes(head + data[2:])
    return folder


if __name__ == "__main__":
    typer.run(main)
