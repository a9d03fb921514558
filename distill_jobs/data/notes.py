"""What people should know of an intake: lines for the terminal, and report files that list all."""

from collections.abc import Iterator
from pathlib import Path

from distill_jobs.data.faults import skipped_images, skipped_rows, write_faults
from distill_jobs.data.intake import Intake
from distill_jobs.data.lineage import Growth
from distill_jobs.data.pair_sheet import write_pair_sheet

FAULTS_FILE = "data_faults.json"
PAIRS_FILE = "near_duplicates.jpg"


def notes(intake: Intake, growth: Growth | None) -> list[str]:
    """Return what stands out, a line each that fits a terminal of 80 columns."""
    lines = []
    images, rows = skipped_images(intake.faults), skipped_rows(intake.faults)
    if images or rows:
        of = _counted(intake.images, "image")
        lines.append(f"{images} of {of}, {_counted(rows, 'label row')} skipped: see {FAULTS_FILE}")
    if intake.dropped:
        lines.append(f"{_counted(intake.dropped, 'object')} of classes not named dropped")
    taught = {row.class_id for piece in intake.split("train") for row in piece.rows}
    if untaught := len(intake.class_map.names) - len(taught):
        lines.append(f"{untaught} of {len(intake.class_map.names)} classes: no object in train")
    if intake.near.count:
        pairs = _counted(intake.near.count, "near-duplicate pair")
        lines.append(f"{pairs} across splits: see {PAIRS_FILE}")
    if intake.left_out:
        unlabelled = _counted(len(intake.left_out), "unlabelled image")
        lines.append(f"{unlabelled} left out: data.lock says why")
    if growth is not None:
        lines.extend(_moved(growth))
    return lines


def _moved(growth: Growth) -> Iterator[str]:
    if growth.now_trained_on:
        moved = _counted(len(growth.now_trained_on), "image")
        yield f"{moved} that data.parent measured on: trained on now"
    if growth.now_measured_on:
        moved = _counted(len(growth.now_measured_on), "image")
        yield f"{moved} that data.parent trained on: measured on now"


def write_reports(folder: Path, intake: Intake) -> None:
    """Write every fault into `data_faults.json` and the closest pairs into a picture."""
    write_faults(folder / FAULTS_FILE, intake.faults, images=intake.images)
    (folder / PAIRS_FILE).unlink(missing_ok=True)
    if intake.near.closest:
        write_pair_sheet(folder / PAIRS_FILE, intake.near.closest)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
