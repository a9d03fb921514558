"""`understudy job report`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from distill_jobs.telling import told_plainly


def report(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of the run.")],
) -> None:
    """Write a run's report.html anew, also while it is under way.

    One file that opens from disk: curves of quality, of each loss and of alpha, figures of teacher
    and student, exported variants, pictures of the fixed frames, the job. A run writes it by itself
    when it ends, whether it ended well or was refused.

    The same curves, with histograms of scores and pictures over time, are in TensorBoard:
    [bold]tensorboard --logdir RUN_DIR[/bold].
    """
    with told_plainly():
        from distill_jobs.run_folder import RunFolder  # noqa: PLC0415  # keeps --help fast
        from distill_jobs.tracking.run_page import write_run_page  # noqa: PLC0415  # likewise

        path = write_run_page(RunFolder.open(run_dir.absolute()))
        Console().print(str(path), highlight=False, soft_wrap=True)
