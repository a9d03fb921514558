"""The results file as tables in Markdown."""

from collections.abc import Iterable, Sequence
from statistics import median

from bench.distill.cells import Figures
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
    "few-none": "a quarter of the labels: no teacher",
    "few-builtin": "a quarter: ultralytics' `distill_model`",
    "few-pseudo": "a quarter: the teacher's boxes as labels of the rest",
    "few-ours": "a quarter: ours, the rest without labels",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; "-" where there is no row."""
    lines = [" | ".join(row) for row in rows] or [" | ".join("-" for _ in head)]
    body = "\n".join(f"| {line} |" for line in lines)
    return f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n{body}\n"


def bounds(figure: Figures, sign: str = "") -> str:
    """Return "1.23 [0.45, 2.01]"; the value alone where it has no bounds, "-" where none is."""
    value, low, high = (figure[name] for name in ("value", "low", "high"))
    if value is None:
        return "-"
    if low is None:
        return f"{value:{sign}.2f}"
    return f"{value:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"


def goals(report: Figures) -> str:
    """Return what was to be shown, with the interval of what was measured."""
    rows = [(one["goal"], _measured(one), one["verdict"]) for one in report["goals"]]
    return table(("goal", "measured", ""), rows)


def arms(report: Figures) -> str:
    """Return each arm's own figures."""
    rows = [
        (
            NAMES[arm],
            bounds(figures["map50_95"]),
            bounds(figures["map50"]),
            bounds(figures["pooled_map50_95"]),
            ", ".join(f"{fold}: {value:.1f}" for fold, value in figures["folds"].items()),
        )
        for arm, figures in report["arms"].items()
    ]
    return table(("arm", "mAP50-95", "mAP50", "pooled", "mAP50-95 by fold"), rows)


def differences(report: Figures) -> str:
    """Return arms against each other."""
    rows = []
    for pair, figures in report["differences"].items():
        first, second = (NAMES[arm] for arm in pair.split(" - "))
        gains = (bounds(figures[name], "+") for name in ("map50_95", "map50", "pooled_map50_95"))
        folds = ", ".join(str(fold) for fold in figures["folds"])
        rows.append((f"{first} over {second}", *gains, folds))
    return table(("", "mAP50-95", "mAP50", "pooled", "folds"), rows)


def shares(report: Figures) -> str:
    """Return how near the students come to their teachers."""
    rows = [
        (
            NAMES[arm],
            bounds(kept["map50_95"]),
            *_gap(report["gap_closed"].get(arm)),
        )
        for arm, kept in report["retention"].items()
    ]
    return table(
        (
            "student",
            "% of the teacher's mAP50-95 kept",
            "the gap: teacher over no teacher, points",
            "% of the gap closed",
        ),
        rows,
    )


def _gap(closed: Figures | None) -> tuple[str, str]:
    """Return the gap and the share of it; in words where there is none to share."""
    if closed is None:
        return "", ""
    share, gap = closed["map50_95"], closed["gap_map50_95"]
    if share["value"] is None:
        return bounds(gap, "+"), "no gap"
    return bounds(gap, "+"), bounds(share) if (gap["low"] or 0) > 0 else "not surely a gap"


def speed(report: Figures) -> str:
    """Return how fast and how large the models are."""
    latency = report["latency"]
    if latency is None:
        return "Not measured yet.\n"
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
        f"Medians of {latency['rounds']} interleaved rounds, one image, the model alone, on a CPU "
        f"with{'' if latency['vnni'] else 'out'} VNNI. Bytes: "
        f"teacher {sizes['teacher_fp32']:,} in FP32 ({sizes['teacher_checkpoint_fp16']:,} as the "
        f"FP16 checkpoint), student {sizes['student_fp32']:,} "
        f"({sizes['student_checkpoint_fp16']:,}), as ONNX {onnx['student_fp32_onnx']:,} in FP32 "
        f"and {onnx['student_int8_onnx']:,} in INT8.\n"
    )
    return f"{text}\n{table(head, rows)}"


def costs(report: Figures) -> str:
    """Return what the compared trainings took, medians over an arm's."""
    arms_ = dict.fromkeys(one["arm"] for one in report["costs"])
    rows = [_cost(arm, [one for one in report["costs"] if one["arm"] == arm]) for arm in arms_]
    head = ("arm", "epochs", "processor s an epoch", "wall-clock s an epoch", "ms a step")
    return table((*head, "peak GPU memory, MiB"), rows)


def trials(report: Figures) -> str:
    """Return everything that was tried, in or out of the plan."""
    tried = [
        cell
        for cell in report["cells"]
        if cell["kind"] == "train" and (cell["trial"] or not cell["planned"])
    ]
    rows = [
        (
            NAMES[cell["trial"]["arm"]] if cell["trial"] else cell["name"],
            f"{cell['inputs']['fold_number']}",
            _choice(cell["inputs"]),
            f"{100 * cell['figures']['inner_map50_95']:.2f}",
            f"{cell['figures']['best_epoch']} of {cell['figures']['epochs_run']}",
            _fate(cell, report["chosen"]),
        )
        for cell in sorted(tried, key=_place)
    ]
    head = ("trial of", "fold", "what it tries", "inner mAP50-95", "best epoch", "")
    return table(head, rows)


def _place(cell: Figures) -> tuple[int, ...]:
    """Sort trials by arm, fold and choice; what no longer is in the plan comes last."""
    trial, fold = cell["trial"], cell["inputs"]["fold_number"]
    if trial is None:
        return (len(NAMES), fold)
    return (list(NAMES).index(trial["arm"]), fold, trial["number"])


def _fate(cell: Figures, chosen: Figures) -> str:
    trial = cell["trial"]
    if trial is None:
        return "left out of the plan"
    if not trial["chosen"]:
        return ""
    edges = chosen[trial["arm"]][str(cell["inputs"]["fold_number"])]["at_edges"]
    return f"chosen; at an edge: {', '.join(edges)}" if edges else "chosen"


def _measured(goal: Figures) -> str:
    if goal["measured"] is None:
        parts = goal.get("parts", {})
        return "; ".join(f"{what} {bounds(one, '+')} points" for what, one in parts.items())
    return bounds({"value": goal["measured"], "low": goal["low"], "high": goal["high"]})


def _cost(arm: str, trainings: Sequence[Figures]) -> tuple[str, ...]:
    epochs = ", ".join(str(one["epochs_run"]) for one in trainings)
    names = ("cpu_s_per_epoch", "wall_s_per_epoch", "step_ms", "gpu_peak_mib")
    return (NAMES[arm], epochs, *(_median([one[name] for one in trainings]) for name in names))


def _median(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.1f}" if known else "-"


def _choice(inputs: Figures) -> str:
    given = inputs["arguments"]
    if inputs["distillation"] is not None:
        section = Distillation.model_validate(inputs["distillation"])
        told = section.model_dump(by_alias=True, exclude_defaults=True)
        return f"`{told}`" if told else "the defaults of a job file"
    if "dis" in given:
        return f"`dis: {given['dis']}`"
    return f"`lr0: {given['lr0']}, mosaic: {given['mosaic']}, epochs: {given['epochs']}`"
