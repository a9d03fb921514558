"""Coverage-guided fuzzing of what cameras, operators and signers may send.

`make fuzz` runs every target for long and writes `bench/results/fuzz.json`; what is wrong lies
under `build/fuzz/TARGET/`; `python -m tests.fuzz.fuzzing --replay TARGET FILE` shows it again.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
TESTS = REPOSITORY / "tests"
LONG = {
    "images": 120_000,
    "worker": 40_000,
    "multipart": 40_000,
    "v2_json": 60_000,
    "v2_messages": 40_000,
    "stream": 20_000,
    "archive": 100_000,
}
"""Cases of `make fuzz`, by target."""
SHORT = {
    "images": 3000,
    "worker": 1500,
    "multipart": 1500,
    "v2_json": 2000,
    "v2_messages": 2000,
    "stream": 1000,
    "archive": 3000,
}
"""Cases of the tests' run."""
MOST_GROWTH = 0.05
"""Of resident memory, from a quarter of the cases to the last."""
_RESULT = REPOSITORY / "bench" / "results" / "fuzz.json"
_CRASHES = ("crash-*", "timeout-*", "oom-*", "leak-*")
_LOOK_S = 0.2


@dataclass(frozen=True)
class Result:
    """What came of one target.

    Attributes:
        target: Its name.
        cases: Inputs that were tried.
        seconds: Wall time, the process's start left out.
        kept: Inputs that reached something new.
        crashes: Inputs that broke a rule, by their paths.
        resident_bytes: Of the process at the end.
        growth: Of it since a quarter of the cases, as a share.
        failed: The end of the log, where the run did not get to its end.
    """

    target: str
    cases: int
    seconds: float
    kept: int
    crashes: tuple[str, ...]
    resident_bytes: int
    growth: float
    failed: str

    @property
    def good(self) -> bool:
        """Whether nothing was wrong and memory was flat."""
        return not self.crashes and not self.failed and self.growth <= MOST_GROWTH


def fuzz(
    target: str, runs: int, folder: Path, *, seed: int, told: Callable[[int], None] | None = None
) -> Result:
    """Run one target in a process of its own.

    Args:
        target: Its name.
        runs: How many inputs to try.
        folder: Gets its corpus, its log and what is wrong.
        seed: Of its random choices.
        told: Called with the cases so far.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "fuzz.harness", target, str(folder), str(runs), str(seed)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, env=_environment(), cwd=REPOSITORY, stdout=log, stderr=log
        )
        while process.poll() is None:
            time.sleep(_LOOK_S)
            if told is not None and (looks := _looks(folder)):
                told(looks[-1]["cases"])
    return _result(target, folder, process.returncode)


def _environment() -> dict[str, str]:
    paths = (TESTS, TESTS / "handlers", TESTS / "serving", TESTS / "serving" / "api")
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "OMP_NUM_THREADS": "1",
        "OPENCV_LOG_LEVEL": "SILENT",
        "GRPC_VERBOSITY": "NONE",
    }


def _result(target: str, folder: Path, status: int) -> Result:
    looks = _looks(folder)
    last = looks[-1] if looks else {"cases": 0, "seconds": 0.0, "resident_bytes": 0}
    settled = looks[len(looks) // 4]["resident_bytes"] if looks else 1
    crashes = sorted(str(path) for pattern in _CRASHES for path in folder.glob(pattern))
    log = (folder / "log").read_text(errors="replace")
    return Result(
        target=target,
        cases=int(last["cases"]),
        seconds=last["seconds"],
        kept=sum(1 for _ in (folder / "corpus").glob("*")),
        crashes=tuple(crashes),
        resident_bytes=int(last["resident_bytes"]),
        growth=round(last["resident_bytes"] / settled - 1, 4),
        failed=log[-3000:] if status else "",
    )


def _looks(folder: Path) -> list[dict[str, float]]:
    progress = folder / "progress.jsonl"
    lines = progress.read_text().splitlines(keepends=True) if progress.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _run_all(cases: Mapping[str, int], folder: Path, seed: int) -> Iterator[Result]:
    from rich.progress import (
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = TextColumn("{task.description:12}"), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns) as shown:
        for target, runs in cases.items():
            task = shown.add_task(target, total=runs)
            result = fuzz(
                target,
                runs,
                folder / target,
                seed=seed,
                told=lambda done, task=task: shown.update(task, completed=done),
            )
            shown.update(task, completed=result.cases)
            yield result


def _tell(result: Result) -> None:
    print(
        f"{result.target:12} {result.cases:>8,} cases in {result.seconds:>5.1f} s, "
        f"{result.kept:>4} kept, {len(result.crashes)} crashes, "
        f"{result.resident_bytes / 2**20:>4.0f} MiB, {result.growth:+.1%}"
    )
    for crash in result.crashes:
        print(f"  again: python -m tests.fuzz.fuzzing --replay {result.target} {crash}")
    if result.failed:
        print(result.failed)


def _replay(target: str, file: str) -> int:
    program = (
        "import importlib, pathlib, sys\n"
        f"importlib.import_module('fuzz.targets.{target}').one(pathlib.Path(sys.argv[1]).read_bytes())"
    )
    command = [sys.executable, "-c", program, str(Path(file).absolute())]
    return subprocess.run(command, env=_environment(), cwd=REPOSITORY, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.fuzzing", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build" / "fuzz")
    parser.add_argument("--replay", nargs=2, metavar=("TARGET", "FILE"), help="try one input again")
    asked = parser.parse_args()
    if asked.replay:
        return _replay(*asked.replay)
    from bench.provenance import provenance

    made_by = provenance("make fuzz")
    results = []
    for result in _run_all(LONG, asked.folder, asked.seed):
        results.append(result)
        _tell(result)
    document = {
        **made_by,
        "seed": asked.seed,
        "cases": sum(one.cases for one in results),
        "seconds": round(sum(one.seconds for one in results), 1),
        "crashes": sum(len(one.crashes) for one in results),
        "targets": [asdict(one) for one in results],
    }
    _RESULT.write_text(json.dumps(document, indent=2) + "\n")
    print(f"{document['cases']:,} cases, {document['crashes']} crashes: {_RESULT}")
    return 0 if all(one.good for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
