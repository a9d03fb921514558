"""`docs/serving.md`: the results file as a page for people."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from bench.distill.cells import Figures
from bench.serve import tables
from distill_jobs.files import write_atomically

_HEAD = """# Serving, measured

Made by `{command}` from `{result}`, where every cell stands with its commit. yolov8n (COCO) at 640
px; JPEGs of a photo (810x1080), of the same at 1080p and of two videos' frames (768x432), sent in
turn over HTTP keep-alive, each connection again as soon as it is answered; every answer is checked.
"fp32" is ONNX Runtime FP32, "best" what our archive chose on this machine: `{variant}`. Peers serve
what their documentation shows, in batches of up to eight, each with the better of the settings
that were tried. Only the server under test runs; rounds are interleaved, their order rotates;
figures are medians, ratios the median of the rounds' ratios.

{cpu}, {cores} cores shared by server and load generator, {memory} GiB. No GPU: not measured there.
"""
_STAGES = """Where a request's time goes, mean milliseconds, by those who tell: inference is the
whole batch's; upstream is TorchServe with the worker, queue the gateway's.
"""


def write_page(report: Figures, page: Path, result: str, charts: Sequence[str]) -> None:
    """Write the page.

    Args:
        report: The results.
        page: The file.
        result: The results file, as the page names it.
        charts: Paths of the charts, relative to the page.
    """
    head = _HEAD.format(
        command=report["command"],
        result=result,
        variant=report["variant"],
        cpu=report["cpu"],
        cores=report["cores"],
        memory=report["memory_gib"],
    )
    parts = [
        *(f"{fill(paragraph, 100)}\n" for paragraph in head.split("\n\n")),
        "## Goals\n",
        tables.goals(report),
        *_lines(report),
        *(f"![{Path(chart).stem}]({chart})\n" for chart in charts),
        "## Settings\n",
        "Workers x threads; quiet: ONNX Runtime's threads do not spin.\n",
        tables.settings(report),
        _provenance(report),
    ]
    write_atomically(page, "\n".join(parts).encode())


def _lines(report: Figures) -> list[str]:
    """Return a section for each line that was measured."""
    parts = []
    for title, key in (("What the gateway costs", "overhead"), ("Other servers", "peers")):
        if report[key] is not None:
            parts += [f"## {title}\n", tables.contestants(report[key]), _STAGES]
            parts += [tables.stages(report[key])]
    accuracy = {name: one for name, one in report["accuracy"].items() if isinstance(one, dict)}
    for name, one in accuracy.items():
        parts.append(
            f"mAP50-95 of {name} through the server, {one['images']} images of the COCO val half: "
            f"{one['map50_95']:.2f} points ({', '.join(one['variants'])}).\n"
        )
    if report["cameras"] is not None:
        limit = f"p99 up to {report['cameras']['p99_limit_ms']:g} ms, no frame dropped"
        parts += [f"## Cameras held at 5 fps, {limit}\n", tables.cameras(report["cameras"])]
    for part, found in (report["growth"] or {}).items():
        parts += [f"## Growth: {part}\n", tables.growth(found)]
    if report["memory"] is not None:
        parts += ["## Memory\n", tables.memory(report["memory"])]
    return parts


def _provenance(report: Figures) -> str:
    commits = ", ".join(report["commits_of_cells"]) or "none yet"
    text = (
        f"`{report['command']}`, {report['finished']}, {report['cpu']}, {report['cores']} cores. "
        f"Measured at commit {commits}; reported at {report['commit']}."
    )
    return f"{fill(text, 100)}\n"
