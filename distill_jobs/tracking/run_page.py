"""`report.html` of a run: figures of both models, curves, pictures, and the job as it was."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from distill_jobs.errors import JobError
from distill_jobs.files import write_atomically
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.release.beside import TRAINING, beside
from distill_jobs.results import ModelResult, read_model, validated
from distill_jobs.run_folder import STEPS, RunFolder
from distill_jobs.tracking.chart import Series
from distill_jobs.tracking.curves import ALPHA, MAP50, MAP50_95, Curves, read_curves
from distill_jobs.tracking.page import (
    Page,
    PageChart,
    PagePicture,
    PageSection,
    PageTable,
    Tile,
    chart_of,
    embedded,
    write_page,
)

ROLES = ("teacher", "student")
_QUALITY = {
    "mAP50-95": MAP50_95,
    "mAP50": MAP50,
    "precision": "metrics/precision(B)",
    "recall": "metrics/recall(B)",
}


def write_run_page(folder: RunFolder) -> Path:
    """Write a run's report as far as the run has come, and why it failed where it did.

    Args:
        folder: Of the run.

    Returns:
        `report.html` in the run's folder: one file, no network, light and dark.
    """
    job = folder.job()
    models = [model for role in ROLES if (model := read_model(folder, role))]
    curves = {role: found for role in ROLES if (found := read_curves(folder.training(role)))}
    failure = folder.failure.read_text(encoding="utf-8") if folder.failure.exists() else ""
    began = folder.place("began")[:16].replace("T", " ")
    page = Page(
        title=f"{job.name} {job.version}",
        subtitle=f"Run {folder.path.name}, begun {began} UTC",
        tiles=_tiles(models),
        sections=[
            *_models_section(folder, models),
            *_variant_sections(models),
            *(_training_section(folder, role, found) for role, found in curves.items()),
            *_pictures_section(folder),
            _job_section(folder, job),
        ],
        refusal_head="This run stopped:",
        refusal=failure,
    )
    path = folder.path / "report.html"
    write_page(page, path)
    _put_beside(page, models)
    return path


def _put_beside(page: Page, models: Iterable[ModelResult]) -> None:
    """Put the page beside the run's archives, without links: they lead into the run's folder."""
    sections = [replace(section, links=()) for section in page.sections]
    for model in models:
        if model.archive is not None and model.archive.exists():
            write_page(replace(page, sections=sections), beside(model.archive, TRAINING))


@contextlib.contextmanager
def page_written(folder: RunFolder, reporter: Reporter) -> Iterator[None]:
    """Write the report when the block ends, whether it ends well or is refused, and why.

    A report that cannot be written is a note, not a reason to fail: the figures are in the run.
    """
    folder.failure.unlink(missing_ok=True)
    try:
        yield
    except JobError as error:
        with contextlib.suppress(OSError):  # a full disk hides no reason
            write_atomically(folder.failure, error.message.encode())
        raise
    finally:
        try:
            write_run_page(folder)
        except (OSError, JobError) as error:
            reporter.note(f"no report.html: {error}")


def _tiles(models: Sequence[ModelResult]) -> list[Tile]:
    tiles = [
        Tile(f"mAP50-95 of the {model.role}", f"{model.map50_95:.3f}")
        for model in models
        if model.map50_95 is not None
    ]
    if len(models) == 2:
        teacher, student = models
        if teacher.map50_95 and student.map50_95 is not None:
            kept = 100 * student.map50_95 / teacher.map50_95
            tiles.append(Tile("of the teacher's mAP50-95", f"{kept:.1f}%"))
        share = 100 * student.parameters / teacher.parameters
        tiles.append(Tile("of the teacher's parameters", f"{share:.1f}%"))
    return tiles


def _models_section(folder: RunFolder, models: Sequence[ModelResult]) -> list[PageSection]:
    if not models:
        return []
    heads = ("", "parameters", "checkpoint MB", "trained s", "mAP50", "mAP50-95", "images")
    rows = [
        (
            model.role,
            f"{model.parameters:,}",
            f"{model.checkpoint_bytes / 1e6:.1f}",
            f"{model.train_seconds:.0f}" if model.train_seconds else "-",
            share(model.map50),
            share(model.map50_95),
            str(model.images or "-"),
        )
        for model in models
    ]
    note = "Measured on the held-out split with the checkpoint in PyTorch."
    reports = [f"release/{role}/report.html" for role in ROLES]
    links = [one for one in reports if (folder.path / one).exists()]
    if links:
        note += " Gate, thresholds and calibration have reports of their own:"
    tables = [PageTable(heads, rows)]
    return [PageSection("Teacher and student", note=note, links=links, tables=tables)]


def _variant_sections(models: Sequence[ModelResult]) -> list[PageSection]:
    heads = ("variant", "MB", "mAP50", "mAP50-95", "p50 ms", "p99 ms", "matched F1", "strict F1")
    sections = []
    for model in models:
        rows = [
            (
                one.name,
                f"{one.file_bytes / 1e6:.1f}",
                share(one.map50),
                share(one.map50_95),
                f"{one.p50_ms:.1f}",
                f"{one.p99_ms:.1f}",
                share(one.matched_f1),
                share(one.strict_f1),
            )
            for one in model.variants
        ]
        left_out = [(name, reason) for name, reason in model.left_out.items()]
        tables = [PageTable(heads, rows)] if rows else []
        if left_out:
            tables.append(PageTable(("left out", "why"), left_out))
        if tables:
            title = f"Exported variants of the {model.role}"
            sections.append(PageSection(title, tables=tables))
    return sections


def _training_section(folder: RunFolder, role: str, curves: Curves) -> PageSection:
    best, kept = curves.best(MAP50_95), validated(folder, role)
    note = f"{curves.epochs[-1]} epochs"
    if best is not None:
        note += f"; best mAP50-95 on validation {best[1]:.3f} after epoch {best[0]}"
    if kept is not None:
        norms = "measured anew" if kept.settled else "as trained"
        note += (
            f"; kept with its batch norms {norms}: {kept.map50_95:.3f}, measured as a release is"
        )
    return PageSection(f"Training of the {role}", note=f"{note}.", charts=training_charts(curves))


def training_charts(curves: Curves) -> list[PageChart]:
    """Draw quality, each loss by its name in training and validation, α and the learning rate."""
    epochs = curves.epochs
    quality = [
        Series(name, epochs, curves.columns[column])
        for name, column in _QUALITY.items()
        if column in curves.columns
    ]
    charts = [chart_of("Quality on validation", quality)] if quality else []
    if any(curves.columns.get(ALPHA, ())):
        alpha = Series("alpha", epochs, curves.columns[ALPHA])
        charts.append(chart_of("alpha, the teacher's weight", [alpha]))
    for name, by_split in sorted(curves.losses().items()):
        series = [Series(split, epochs, values) for split, values in sorted(by_split.items())]
        lines = [one for one in series if any(one.ys)]  # a distillation loss has no validation
        if lines:
            charts.append(chart_of(name.replace("_", " "), lines))
    rates = [
        Series(column.replace("lr/pg", "group "), epochs, values)
        for column, values in curves.columns.items()
        if column.startswith("lr/")
    ]
    return [*charts, chart_of("learning rate of each parameter group", rates)] if rates else charts


def _pictures_section(folder: RunFolder) -> list[PageSection]:
    pictures: list[PagePicture] = []
    for role in reversed(ROLES):
        found = sorted((folder.training(role) / "pictures").glob("*.jpg"))
        pictures.extend(
            embedded(one, f"Frame {number} after the training of the {role}")
            for number, one in enumerate(found, 1)
        )
    if not pictures:
        return []
    note = "The same validation images after the last epoch; the teacher's detections on the left."
    return [PageSection("What they see", note=note, pictures=pictures)]


def _job_section(folder: RunFolder, job: Job) -> PageSection:
    steps = [
        (step, f"{figures['seconds']:.1f}", figures["finished"][:19].replace("T", " "))
        for step in STEPS
        if (figures := folder.figures(step))
    ]
    source = job.data.path or "drawn scenes"
    lock = ""
    if folder.data_lock.exists():
        splits = json.loads(folder.data_lock.read_text(encoding="utf-8")).get("splits", {})
        lock = ", ".join(f"{_images(files)} {name}" for name, files in splits.items())
    return PageSection(
        "The job",
        note=f"Data: {source}{f' (images: {lock})' if lock else ''}. Seed {job.seed}.",
        tables=[PageTable(("step", "seconds", "finished, UTC"), steps)] if steps else [],
        summary="job.yaml",
        text=folder.job_file.read_text(encoding="utf-8"),
    )


def _images(files: Iterable[str]) -> int:
    """Count images among a lock's files, which are labels too."""
    return sum(not name.endswith(".txt") for name in files)


def share(value: float | None) -> str:
    """Write a figure from 0 to 1."""
    return "-" if value is None else f"{value:.3f}"
