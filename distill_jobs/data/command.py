"""`understudy job check-data`: look at a job's data set before anything is trained on it."""

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from distill_jobs.telling import told_plainly

if TYPE_CHECKING:
    from distill_jobs.data.intake import Intake

_SHOWN = 10


def check_data(
    job_file: Annotated[Path, typer.Argument(metavar="JOB.YAML", help="The job file.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Gets data.lock, data_faults.json and near_duplicates.jpg."),
    ] = None,
) -> None:
    r"""Check a job's data set: faults, classes, splits, duplicates; nothing is trained.

    The section is [bold]data:[/bold] path (a data.yaml) or scenes; classes (rename, merge, drop:
    {vehicle: \[car, truck]}); split (by camera, time or random; pattern with (?P<camera>...) or
    (?P<time>...); fractions); unlabelled (folders or lists that the teacher alone explains) and
    max_unlabelled_share; max_faulty_share; near_duplicates (list or refuse) and
    near_duplicate_bits; parent (the data.lock that this data set grew from).

    Exits with status 2 where a run would refuse the data.
    """
    with told_plainly():
        from distill_jobs.data.intake import (  # noqa: PLC0415  # keeps --help fast
            refuse_duplicates,
            refuse_faulty,
            take_in,
        )
        from distill_jobs.data.lineage import grown_from_parent  # noqa: PLC0415  # likewise
        from distill_jobs.data.lock_writer import write_intake_lock  # noqa: PLC0415  # likewise
        from distill_jobs.data.notes import notes, write_reports  # noqa: PLC0415  # likewise
        from distill_jobs.errors import JobError  # noqa: PLC0415  # likewise
        from distill_jobs.heirs import refuse_heirs  # noqa: PLC0415  # likewise
        from distill_jobs.job import Job  # noqa: PLC0415  # likewise
        from distill_jobs.progress import RichReporter  # noqa: PLC0415  # likewise

        job = Job.load(job_file)
        data = job.data
        if data.path is None:
            raise JobError(f"{job_file}: draws its scenes itself: there is no data set to check")
        console = Console()
        with RichReporter(console) as reporter:
            intake = take_in(data, reporter)
        growth = grown_from_parent(intake, data)
        _show(console, intake)
        for line in notes(intake, growth):
            _say(console, line)
        if out is not None:
            write_reports(out, intake)
        refuse_faulty(intake, data)
        refuse_duplicates(intake, data)
        refuse_heirs(job, intake, growth)
        if out is not None:
            write_intake_lock(out / "data.lock", intake, data, growth)


def _show(console: Console, intake: "Intake") -> None:
    console.print(_splits_table(intake))
    console.print(_classes_table(intake))
    root = intake.source.path.resolve().parent
    for fault in intake.faults[:_SHOWN]:
        line = f":{fault.line}" if fault.line else ""
        _say(console, f"skipped {os.path.relpath(fault.file, root)}{line}: {fault.why}")
    for pair in intake.near.closest[:_SHOWN]:
        one, other = (os.path.relpath(end.image, root) for end in (pair.one, pair.other))
        _say(console, f"almost the same, {pair.bits} bits apart: {one} and {other}")


def _say(console: Console, text: str) -> None:
    console.print(f"  {text}", highlight=False, markup=False, soft_wrap=True)


def _splits_table(intake: "Intake") -> Table:
    table = Table("split", "images", "with objects", "objects", "cameras or times")
    for column in table.columns[1:]:
        column.justify = "right"
    for split in ("train", "val", "test", "unlabelled"):
        pieces = intake.split(split)
        if not pieces:
            continue
        shown, objects = sum(bool(one.rows) for one in pieces), sum(len(one.rows) for one in pieces)
        groups = str(len(intake.groups.get(split, ())) or "-")
        known = ("-", "-") if split == "unlabelled" else (str(shown), str(objects))
        table.add_row(split, str(len(pieces)), *known, groups)
    return table


def _classes_table(intake: "Intake") -> Table:
    splits = [split for split in ("train", "val", "test") if intake.split(split)]
    table = Table("class", *splits)
    for column in table.columns[1:]:
        column.justify = "right"
    counts = {
        split: Counter(row.class_id for piece in intake.split(split) for row in piece.rows)
        for split in splits
    }
    for class_id, name in enumerate(intake.class_map.names):
        table.add_row(escape(name), *(str(counts[split][class_id]) for split in splits))
    return table
