"""Where results go: to the committed files only what may stand there."""

from dataclasses import dataclass
from pathlib import Path

from bench.provenance import PROJECT_ROOT, doubts_of_commits
from bench.serve.plan import LINES, Plan
from bench.serve.scale import FULL


@dataclass(frozen=True)
class Target:
    """Where a report is written.

    Attributes:
        result: Gets the figures.
        page: Gets the tables.
        charts: Folder of the charts.
        doubts: Why they are not the committed ones.
    """

    result: Path
    page: Path
    charts: Path
    doubts: tuple[str, ...] = ()


def target_of(plan: Plan, root: Path = PROJECT_ROOT) -> Target:
    """Return the committed files for the whole benchmark by committed code; else some beside cells.

    Args:
        plan: What is, or is to be, reported.
        root: Of the repository.
    """
    if doubts := tuple(_doubts(plan)):
        place = plan.store.path
        return Target(place / "serve.json", place / "serving.md", place / "images", doubts)
    docs = root / "docs"
    return Target(root / "bench" / "results" / "serve.json", docs / "serving.md", docs / "images")


def _doubts(plan: Plan) -> list[str]:
    if plan.scale != FULL:
        return ["a quick look measures nothing"]
    doubts = []
    if plan.lines != LINES:
        doubts.append("only a part of the benchmark was asked for")
    if plan.absent:
        doubts.append(f"without {', '.join(plan.absent)}")
    planned = [cell.key for cell in plan.cells()]
    commits = {one["key"]: one["about"]["commit"] for one in plan.store.all_done()}
    left = [key for key in planned if key not in commits]
    if left:
        doubts.append(f"{len(left)} cells are not done")
    return doubts + doubts_of_commits({key: commits[key] for key in planned if key in commits})
