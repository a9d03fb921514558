"""Our pipeline without any server: decode to detections, batch after batch, in a bare process.

Says "ready", waits for a line, runs for the seconds it was told, says what came of it.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from bench.serve.figures import percentile
from handlers.pipeline import BadFrame, Frame, Pipeline


def main() -> None:
    """Do what the file named on the command line says."""
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    pipeline = Pipeline.load(Path(spec["archive"]), spec["variant"], spec["threads"])
    pipeline.warm_up(spec["batch"])
    frames = [Frame(Path(path).read_bytes()) for path in spec["images"]]
    batches = [
        [frames[(turn + place) % len(frames)] for place in range(spec["batch"])]
        for turn in range(0, len(frames), spec["batch"])
    ]
    _run(pipeline, batches, spec["warm_up_s"])
    print(json.dumps({"event": "ready"}), flush=True)
    sys.stdin.readline()
    cpu_s, began_s = time.process_time(), time.perf_counter()
    latencies_ms = _run(pipeline, batches, spec["seconds"])
    seconds = time.perf_counter() - began_s
    answered = len(latencies_ms) * spec["batch"]
    said = {
        "event": "figures",
        "batch": spec["batch"],
        "answered": answered,
        "requests_per_s": answered / seconds,
        "p50_ms": percentile(latencies_ms, 0.5),
        "p99_ms": percentile(latencies_ms, 0.99),
        "cpu_ms": 1000 * (time.process_time() - cpu_s) / answered,
    }
    print(json.dumps(said), flush=True)


def _run(pipeline: Pipeline, batches: list[list[Any]], seconds: float) -> list[float]:
    """Return each batch's time, milliseconds."""
    latencies_ms, turn = [], 0
    end_s = time.perf_counter() + seconds
    while (began_s := time.perf_counter()) < end_s:
        for answer in pipeline.detect(batches[turn % len(batches)]):
            if isinstance(answer, BadFrame):
                raise answer
        latencies_ms.append(1000 * (time.perf_counter() - began_s))
        turn += 1
    return latencies_ms


if __name__ == "__main__":
    main()
