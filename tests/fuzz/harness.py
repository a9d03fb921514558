"""One target's run, in a process of its own: libFuzzer feeds it, atheris tells libFuzzer what it
reached.

    python -m fuzz.harness TARGET FOLDER RUNS SEED

FOLDER gets `corpus/`, inputs that reached something new; `crash-…` and `timeout-…`, what was wrong;
`progress.jsonl`, cases, seconds and resident bytes as they grow. libFuzzer ends the process.
"""

import ctypes
import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import atheris

LOOKS = 40
"""How often progress is written."""
_TOO_SLOW_S = 20
_MOST_MEMORY_MB = 2048
"""On top of the peak at the start, which is the parent's: Linux hands `ru_maxrss` down."""


def main() -> None:
    name, folder, runs, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    corpus, seeds = folder / "corpus", folder / "seeds"
    with atheris.instrument_imports(include=["handlers", "serving", "python_multipart"]):
        target = importlib.import_module(f"fuzz.targets.{name}")
    for made in (corpus, seeds):
        made.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(target.seeds()):
        (seeds / f"{number:03}").write_bytes(content)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    options = {
        "runs": runs,
        "seed": seed,
        "max_len": target.MAX_BYTES,
        "len_control": 0,
        "timeout": _TOO_SLOW_S,
        "rss_limit_mb": peak_mb + _MOST_MEMORY_MB,
        "artifact_prefix": f"{folder}/",
        "verbosity": 0,
    }
    arguments = [sys.argv[0], *(f"-{key}={value}" for key, value in options.items())]
    mutators = {"custom_mutator": target.mutate} if hasattr(target, "mutate") else {}
    watched = _watched(target.one, folder / "progress.jsonl", runs)
    atheris.Setup([*arguments, str(corpus), str(seeds)], watched, **mutators)
    atheris.Fuzz()


def _watched(one: Callable[[bytes], None], progress: Path, runs: int) -> Callable[[bytes], None]:
    """Return `one`, telling of itself on the way."""
    file, every = progress.open("w", buffering=1), max(1, runs // LOOKS)
    cases, began = 0, time.monotonic()

    def watched(data: bytes) -> None:
        nonlocal cases
        one(data)
        cases += 1
        if cases % every == 0 or cases == runs:
            look = {
                "cases": cases,
                "seconds": round(time.monotonic() - began, 1),
                "resident_bytes": _resident_bytes(),
            }
            file.write(json.dumps(look) + "\n")

    return watched


def _resident_bytes() -> int:
    """Return what this process holds, less what it would give back: neither is a leak."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
