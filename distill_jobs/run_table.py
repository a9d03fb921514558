"""A run as a table for 80 columns."""

from rich import box
from rich.console import Console
from rich.table import Table

from distill_jobs.job import Job
from distill_jobs.results import ModelResult, read_model
from distill_jobs.run_folder import STEPS, RunFolder


def print_run(console: Console, folder: RunFolder) -> None:
    """Print a run's steps, and the figures of its models as far as they are known."""
    job = folder.job()
    console.print(_steps_table(folder, job))
    models = [model for role in ("teacher", "student") if (model := read_model(folder, role))]
    if not models:
        return
    console.print(_models_table(models))
    for model in models:
        if model.variants:
            console.print(_variants_table(model))
        for name, reason in model.left_out.items():
            console.print(f"  {model.role} {name} left out: {reason}", highlight=False)
        if model.archive:
            console.print(f"  {model.role}: {model.archive}", highlight=False, soft_wrap=True)


def steps_of(folder: RunFolder, job: Job) -> tuple[str, ...]:
    """Return the steps that a run has: a trial releases nothing, a sweep's trials have students."""
    if folder.kind == "sweep":
        return STEPS[:2]
    if folder.kind == "trial":
        return STEPS[:3]
    return tuple(step for step in STEPS if job.student is not None or "student" not in step)


def _steps_table(folder: RunFolder, job: Job) -> Table:
    what = "" if folder.kind == "run" else f", a {folder.kind}"
    title = f"{job.name} {job.version}{what}"
    heads = ("step", "state", "seconds", "finished, UTC")
    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False, title=title)
    table.columns[2].justify = "right"
    for step in steps_of(folder, job):
        figures = folder.figures(step)
        if figures is not None:
            seconds, finished = f"{figures['seconds']:.1f}", figures["finished"][:19]
            table.add_row(step, "[green]done[/green]", seconds, finished.replace("T", " "))
        else:
            state = "[yellow]unfinished[/yellow]" if folder.begun(step) else "to do"
            table.add_row(step, state, "", "")
    return table


def _models_table(models: list[ModelResult]) -> Table:
    heads = ("", "parameters", "MB", "train s", "mAP50", "mAP50-95", "images")
    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for model in models:
        table.add_row(
            model.role,
            f"{model.parameters:,}",
            f"{model.checkpoint_bytes / 1e6:.1f}",
            f"{model.train_seconds:.0f}" if model.train_seconds else "-",
            _share(model.map50),
            _share(model.map50_95),
            str(model.images or "-"),
        )
    if len(models) == 2:
        table.add_section()
        table.add_row(*_ratios(*models))
    return table


def _ratios(teacher: ModelResult, student: ModelResult) -> tuple[str, ...]:
    def ratio(part: float | None, whole: float | None) -> str:
        return f"{100 * part / whole:.1f}%" if part is not None and whole else "-"

    return (
        "student/teacher",
        ratio(student.parameters, teacher.parameters),
        ratio(student.checkpoint_bytes, teacher.checkpoint_bytes),
        "",
        ratio(student.map50, teacher.map50),
        ratio(student.map50_95, teacher.map50_95),
        "",
    )


def _variants_table(model: ModelResult) -> Table:
    heads = (model.role, "MB", "mAP50", "mAP50-95", "p50 ms", "p99 ms", "F1", "strict")
    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for one in model.variants:
        table.add_row(
            one.name,
            f"{one.file_bytes / 1e6:.1f}",
            _share(one.map50),
            _share(one.map50_95),
            f"{one.p50_ms:.1f}",
            f"{one.p99_ms:.1f}",
            f"{one.matched_f1:.3f}",
            _share(one.strict_f1),
        )
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
