"""What `understudy release` prints."""

from rich.console import Console
from rich.table import Table

from distill_jobs.release.result import ReleaseResult


def show(result: ReleaseResult) -> None:
    """Print what came of a release: its variants, what is left out, the gate, where it lies."""
    table = Table("variant", "MB", "mAP50", "mAP50-95", "F1", "strict", "p50 ms", "p99 ms")
    for variant in result.variants:
        quality = variant.quality
        scores = (f"{quality.map50:.3f}", f"{quality.map50_95:.3f}") if quality else ("-", "-")
        table.add_row(
            variant.name,
            f"{variant.file_bytes / 1e6:.1f}",
            *scores,
            f"{variant.matched_f1:.3f}",
            f"{variant.strict_f1:.3f}",
            f"{variant.latency.p50_ms:.1f}",
            f"{variant.latency.p99_ms:.1f}",
        )
    Console().print(table)
    for name, reason in result.left_out.items():
        say(f"left out: {name}: {reason}")
    for check in result.checks:
        if check.limit is not None or not check.subject:  # eighty classes are for the report
            say(f"gate: {check.line}")
    if result.quality is None:
        say("quality: unmeasured")
    say(f"archive: {result.archive} ({result.file_bytes / 1e6:.1f} MB)")
    say(f"signature: {result.signature}")


def say(text: str) -> None:
    """Print a line as it is."""
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
