"""Where results go: to the committed files only what may stand there."""

from dataclasses import dataclass
from pathlib import Path

from bench.distill.plan import Plan
from bench.provenance import PROJECT_ROOT, doubts_of_commits


@dataclass(frozen=True)
class Target:
    """Two files.

    Attributes:
        result: Gets the figures.
        page: Gets the tables.
        doubts: Why they are not the committed ones.
    """

    result: Path
    page: Path
    doubts: tuple[str, ...] = ()


def target_of(plan: Plan, root: Path = PROJECT_ROOT) -> Target:
    """Return the committed files for the whole benchmark by committed code; else some beside cells.

    Args:
        plan: What is, or is to be, reported.
        root: Of the repository.
    """
    mark = "" if plan.device == "cpu" else f"-{plan.device}"
    result, page = f"distill{mark}.json", f"distillation{mark}.md"
    if doubts := tuple(_doubts(plan)):
        return Target(plan.store.path / result, plan.store.path / page, doubts)
    return Target(root / "bench" / "results" / result, root / "docs" / page)


def _doubts(plan: Plan) -> list[str]:
    doubts = [] if plan.is_whole() else ["only a part of the benchmark was asked for"]
    planned = {cell.key for cell in plan.cells()}
    done = plan.store.all_done()
    commits = {one["key"]: one["about"].get("commit", "unknown") for one in done}
    return doubts + doubts_of_commits({k: one for k, one in commits.items() if k in planned})
