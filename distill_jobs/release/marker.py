"""What a run's release steps note in their markers: plain values, for `results` to read."""

from dataclasses import asdict
from typing import Any

from distill_jobs.release.archive import Published
from distill_jobs.release.evaluate import Quality
from distill_jobs.release.report import gate_figures, threshold_figures
from distill_jobs.release.result import ReleaseResult


def quality_figures(quality: Quality | None) -> dict[str, Any]:
    """Return a checkpoint's own quality: shares 0 to 1; nothing where it is unmeasured."""
    if quality is None:
        return {}
    return {
        "map50": quality.map50,
        "map50_95": quality.map50_95,
        "images": quality.images,
        "quality": asdict(quality),
    }


def release_figures(result: ReleaseResult) -> dict[str, Any]:
    """Return what came of a release: bytes, milliseconds, shares 0 to 1.

    Where its archive is held back, nothing is said of one.
    """
    variants = [
        {
            "name": one.name,
            "file_bytes": one.file_bytes,
            "map50": one.quality.map50 if one.quality else None,
            "map50_95": one.quality.map50_95 if one.quality else None,
            "p50_ms": one.latency.p50_ms,
            "p99_ms": one.latency.p99_ms,
            "matched_f1": one.matched_f1,
            "strict_f1": one.strict_f1,
        }
        for one in result.variants
    ]
    return {
        **quality_figures(result.quality),
        **(archive_figures(result) if result.sha256 else {}),
        "variants": variants,
        "left_out": result.left_out,
        "gate": gate_figures(result.checks),
        "thresholds": threshold_figures(result.thresholds),
    }


def archive_figures(published: ReleaseResult | Published) -> dict[str, Any]:
    """Return where an archive lies, and its bytes."""
    return {
        "archive": str(published.archive),
        "signature": str(published.signature),
        "archive_bytes": published.file_bytes,
        "sha256": published.sha256,
    }
