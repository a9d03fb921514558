"""`docs/distillation.md`: the results file as tables for people."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.distill.cells import Figures
from distill_jobs.files import write_atomically
from distill_jobs.recipe.distillation import Distillation

NAMES = {
    "teacher": "teacher, yolov8s",
    "none": "no teacher",
    "none-long": "no teacher, our wall-clock",
    "builtin": "ultralytics' `distill_model`",
    "ours": "ours",
    "ours-int8": "ours, INT8 ONNX",
    "ours-small": "ours, at most 1.7M parameters",
    "ours-small-int8": "ours, at most 1.7M parameters, INT8 ONNX",
    "engine-check": "our engine, no teacher",
}

_HEAD = """# Distillation, measured

Made by `make bench-distill` from `bench/results/distill.json`, where every training's exact
arguments and every trial stand. BCCD, all 364 images in three folds; each fold has its own yolov8s
teacher, students are yolov8n from the COCO weights at 320 px. An inner part of each training fold
chooses epochs and trials; the held-out fold is measured once. mAP50-95 and mAP50 in points, on the
pooled held-out images, with 95% intervals of a bootstrap over images (paired, stratified by fold);
they do not hold the chance of another seed. Each fold's trials are its own.
"""


def write_page(report: Figures, page: Path, picture: str) -> None:
    """Write the page.

    Args:
        report: The results.
        page: The file.
        picture: Path of the plot, relative to the page.
    """
    parts = [
        _HEAD,
        f"![The arms' mAP50-95 and their differences]({picture})\n",
        "## Goals\n",
        _goals(report),
        "## Arms\n",
        _arms(report),
        "## Differences\n",
        _differences(report),
        "## The teacher's share\n",
        _shares(report),
        *_costs(report),
        "## Trials\n",
        _trials(report),
        *(f"- Dropped: {text}." for text in report["protocol"]["tried_and_dropped"]),
        _provenance(report),
    ]
    write_atomically(page, ("\n".join(parts)).encode())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; "-" where there is no row."""
    lines = [" | ".join(row) for row in rows] or [" | ".join("-" for _ in head)]
    body = "\n".join(f"| {line} |" for line in lines)
    return f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n{body}\n"


def bounds(figure: Figures, sign: str = "") -> str:
    """Return "1.23 [0.45, 2.01]"."""
    return f"{figure['value']:{sign}.2f} [{figure['low']:{sign}.2f}, {figure['high']:{sign}.2f}]"


def _goals(report: Figures) -> str:
    rows = [
        (
            goal["goal"],
            "" if goal["measured"] is None else f"{goal['measured']:g}",
            goal["verdict"],
        )
        for goal in report["goals"]
    ]
    return table(("goal", "measured", ""), rows)


def _arms(report: Figures) -> str:
    rows = [
        (
            NAMES[arm],
            bounds(figures["map50_95"]),
            bounds(figures["map50"]),
            ", ".join(f"{value:.1f}" for value in figures["folds"].values()),
        )
        for arm, figures in report["arms"].items()
    ]
    return table(("arm", "mAP50-95", "mAP50", "mAP50-95 by fold"), rows)


def _differences(report: Figures) -> str:
    rows = []
    for pair, figures in report["differences"].items():
        first, second = (NAMES[arm] for arm in pair.split(" - "))
        folds = ", ".join(str(fold) for fold in figures["folds"])
        gain, gain50 = bounds(figures["map50_95"], "+"), bounds(figures["map50"], "+")
        rows.append((f"{first} over {second}", gain, gain50, folds))
    return table(("", "mAP50-95", "mAP50", "folds"), rows)


def _shares(report: Figures) -> str:
    rows = [
        (
            NAMES[arm],
            bounds(kept["map50_95"]),
            bounds(report["gap_closed"][arm]["map50_95"]) if arm in report["gap_closed"] else "",
        )
        for arm, kept in report["retention"].items()
    ]
    return table(("student", "% of the teacher's mAP50-95 kept", "% of the gap closed"), rows)


def _costs(report: Figures) -> list[str]:
    latency = report["latency"]
    if latency is None:
        return ["## Speed and size\n", "Not measured yet.\n"]
    rows = [
        (
            f"{row['side_px']}",
            f"{row['threads']}",
            *(f"{row['p50_ms'][name]:.1f}" for name in row["p50_ms"]),
            f"{row['int8_over_fp32_speedup']:.2f}",
            f"{row['student_int8_over_teacher_speedup']:.2f}",
        )
        for row in latency["rows"]
    ]
    head = (
        "px",
        "threads",
        "student INT8 ONNX, ms",
        "student FP32 ONNX, ms",
        "teacher FP32 PyTorch, ms",
        "INT8 over FP32",
        "INT8 over teacher",
    )
    sizes = latency["bytes"]
    onnx = sizes["onnx_by_side_px"]["320"]
    text = (
        f"Medians of {latency['rounds']} interleaved rounds, one image, the model alone. Bytes: "
        f"teacher {sizes['teacher_fp32']:,} in FP32 ({sizes['teacher_checkpoint_fp16']:,} as the "
        f"FP16 checkpoint), student {sizes['student_fp32']:,} "
        f"({sizes['student_checkpoint_fp16']:,}), as ONNX {onnx['student_fp32_onnx']:,} in FP32 "
        f"and {onnx['student_int8_onnx']:,} in INT8.\n"
    )
    return ["## Speed and size\n", text, table(head, rows)]


def _trials(report: Figures) -> str:
    rows = [
        (
            NAMES[cell["trial_of"]] if cell["trial_of"] else cell["name"],
            _choice(cell["inputs"]),
            f"{100 * cell['figures']['inner_map50_95']:.2f}",
            f"{cell['figures']['best_epoch']} of {cell['figures']['epochs_run']}",
            "" if cell["planned"] else "left out of the plan",
        )
        for cell in report["cells"]
        if cell["kind"] == "train" and (cell["trial_of"] or not cell["planned"])
    ]
    return table(("trial of", "what it tries", "inner mAP50-95", "best epoch", ""), rows)


def _choice(inputs: Figures) -> str:
    given = inputs["arguments"]
    if inputs["distillation"] is not None:
        section = Distillation.model_validate(inputs["distillation"])
        told = section.model_dump(by_alias=True, exclude_defaults=True)
        return f"`{told}`" if told else "the defaults of a job file"
    if "dis" in given:
        return f"`dis: {given['dis']}`"
    return f"`lr0: {given['lr0']}, mosaic: {given['mosaic']}, epochs: {given['epochs']}`"


def _provenance(report: Figures) -> str:
    return (
        f"\n`{report['command']}`, commit {report['commit']}, {report['finished']}, "
        f"{report['cpu']}, {report['cores']} cores; each training one thread. "
        "Not measured on a GPU.\n"
    )
