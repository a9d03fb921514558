"""What a release measured, for programs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill_jobs import files
from distill_jobs.release.request import ReleaseResult


def write_json(result: ReleaseResult, path: Path) -> None:
    """Write a release's figures: its card's measurements and what is not in the card."""
    files.write_json(path, figures(result))


def figures(result: ReleaseResult) -> dict[str, Any]:
    """Return a release's figures as plain values: quality 0 to 1, bytes, milliseconds."""
    return {
        "name": result.card.name,
        "version": result.card.version,
        "archive": str(result.archive),
        "archive_bytes": result.file_bytes,
        "sha256": result.sha256,
        "parameters": result.parameters,
        "quality": asdict(result.quality) if result.quality else None,
        "variants": [asdict(variant) for variant in result.variants],
        "left_out": dict(result.left_out),
    }
