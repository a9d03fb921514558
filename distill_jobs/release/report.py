"""What a release measured: for programs as JSON, for people as a page with plots.

Both are written into the work folder before the gate decides, so a refusal leaves them.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill_jobs import files
from distill_jobs.release.archive import Published
from distill_jobs.release.beside import REPORT, beside
from distill_jobs.release.checks import Check
from distill_jobs.release.frames import Frames
from distill_jobs.release.report_page import page_of
from distill_jobs.release.report_plots import draw_plots
from distill_jobs.release.thresholds import ClassThreshold
from distill_jobs.release.told import Told
from distill_jobs.tracking.page import write_page

JSON_NAME, PAGE_NAME = "report.json", "report.html"


def write(told: Told) -> Path:
    """Write `report.json`, `report.html` and their plots into the work folder.

    Returns:
        The page.
    """
    folder = told.request.work_dir
    files.write_json(folder / JSON_NAME, figures(told))
    write_page(page_of(told, draw_plots(told, folder)), folder / PAGE_NAME)
    return folder / PAGE_NAME


def add_archive(published: Published, folder: Path) -> None:
    """Put the page beside the published archive, and add to `report.json` what is known now."""
    page = (folder / PAGE_NAME).read_bytes()
    files.write_atomically(beside(published.archive, REPORT), page)
    written = json.loads((folder / JSON_NAME).read_text(encoding="utf-8"))
    written["archive"] = str(published.archive)
    written["archive_bytes"] = published.file_bytes
    written["sha256"] = published.sha256
    files.write_json(folder / JSON_NAME, written)


def figures(told: Told) -> dict[str, Any]:
    """Return a release's figures as plain values: shares 0 to 1, bytes, milliseconds."""
    found = told.findings
    content = {
        "name": told.request.name,
        "version": told.request.version,
        "refused": [asdict(one) | {"complaint": one.complaint} for one in told.failed],
        "parameters": told.parameters,
        "quality": asdict(told.quality) if told.quality else None,
        "quality_in_pytorch": asdict(told.in_pytorch) if told.in_pytorch else None,
        "gate": gate_figures(found.checks),
        "thresholds": threshold_figures(found.thresholds),
        "calibration": asdict(found.calibration) if found.calibration else None,
        "teacher_calibration": (
            asdict(found.teacher_calibration) if found.teacher_calibration else None
        ),
        "frames": _frames(told.request.frames),
        "variants": [asdict(one) for one in told.variants],
        "left_out": dict(told.left_out),
    }
    plain: dict[str, Any] = _without_nan(content)
    return plain


def _frames(frames: Frames | None) -> dict[str, str]:
    """Return which unlabelled frames were asked about: SHA-256 by name."""
    if frames is None:
        return {}
    return {one.name: sha256 for one, sha256 in zip(frames.images, frames.sha256, strict=True)}


def gate_figures(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Return the checks as plain values; what could not be reckoned is None."""
    listed: list[dict[str, Any]] = _without_nan(
        [asdict(one) | {"verdict": one.verdict} for one in checks]
    )
    return listed


def threshold_figures(thresholds: Sequence[ClassThreshold]) -> list[dict[str, Any]]:
    """Return the operating thresholds, and why they are what they are, as plain values."""
    return [asdict(one) for one in thresholds]


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content
