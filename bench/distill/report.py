"""The results file: what was measured, what it is compared with, and everything that was tried."""

from pathlib import Path

from bench.distill.plan import Plan
from bench.provenance import provenance
from distill_jobs.files import write_json


def write_report(plan: Plan, result: Path) -> None:
    """Write the results.

    Args:
        plan: With its finished cells.
        result: The file.
    """
    write_json(result, provenance("make bench-distill") | {"cells": plan.store.all_done()})
