"""All boards, and where they are written."""

from pathlib import Path

from deploy.dashboards import agreement, jobs, latency, overview, rollout, workers
from deploy.dashboards.board import Board

FOLDER = Path(__file__).parents[1] / "grafana" / "dashboards"
BOARDS: tuple[Board, ...] = (
    overview.BOARD,
    rollout.BOARD,
    latency.BOARD,
    agreement.BOARD,
    jobs.BOARD,
    workers.BOARD,
)


def file_of(board: Board) -> Path:
    """Return where a board is written."""
    return FOLDER / f"{board.name}.json"
