"""Where results go: to the committed files only what may stand there."""

from dataclasses import dataclass
from pathlib import Path

from bench.distill.plan import Plan
from bench.provenance import PROJECT_ROOT

# What `bench.provenance` says outside a repository.
_UNKNOWN = "unknown"


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
    commits = {one["key"]: one["about"].get("commit", _UNKNOWN) for one in plan.store.all_done()}
    # A commit ends in "+" where the tree differed from it.
    doubtful = [
        key
        for key, commit in commits.items()
        if key in planned and (commit == _UNKNOWN or commit.endswith("+"))
    ]
    if doubtful:
        doubts.append(f"uncommitted code made {', '.join(doubtful)}: remove these folders")
    return doubts
