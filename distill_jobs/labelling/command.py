"""The command `understudy label`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from distill_jobs.commands.again import given_again
from distill_jobs.commands.reporting import reporting
from distill_jobs.telling import told_plainly

if TYPE_CHECKING:
    from distill_jobs.labelling.labelling import Labelled


def label(  # noqa: PLR0917 - Typer reads the options from the parameters
    context: typer.Context,
    frames: Annotated[
        list[Path],
        typer.Argument(
            metavar="FRAMES...",
            help="Folders of images (searched to their depths), lists of images (.txt, one path a "
            "line) or videos.",
        ),
    ],
    teacher: Annotated[
        Path, typer.Option(help="Checkpoint of the detector that labels (.pt), read by each node.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the labels; one that was begun is gone on with.")
    ] = Path("runs/labels"),
    image_size: Annotated[
        int, typer.Option(help="Side of the teacher's square input, pixels.", min=32, max=4096)
    ] = 640,
    min_score: Annotated[
        float, typer.Option(help="Detections below it are left out.", min=0.001, max=1)
    ] = 0.1,
    video_fps: Annotated[
        float, typer.Option(help="Frames taken of a second of video.", min=0.01, max=120)
    ] = 1.0,
    shard: Annotated[
        int, typer.Option(help="Frames that are kept together: what a kill costs.", min=1)
    ] = 64,
    workers: Annotated[
        int | None,
        typer.Option(help="Teachers at once. Default: two a GPU, else one a core.", min=1),
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="The teachers run on GPUs.")] = False,
    ray_address: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of a Ray cluster's head. Default: this machine's cores."),
    ] = None,
) -> None:
    r"""Label a great many frames with a teacher, for a student to learn from.

    The teacher looks at each frame as it does in a job (decoding, fitting, suppression). What it
    finds becomes --out/detections.jsonl: a teacher that need not be there when students are
    distilled, on other machines or again and again. Frames that are no picture are counted and
    listed in broken.txt.

    Labels are kept shard by shard. A command that was stopped, or whose machine died, is given
    again and goes on; frames that came later are not looked at, for the list was made at the start.
    Nothing is downloaded, and Ray reports to nobody.

    [bold]On a cluster[/]: every node has this version of understudy with the extras "distill" and
    "label", and sees frames, teacher and --out under the same paths. Give
    [bold]ray start --head[/bold] on one, [bold]ray start --address HEAD:6379[/bold] on the others,
    this command on any of them. A node that dies loses its unfinished shards, which others do
    again. Whoever reaches Ray's ports may run code there: set RAY_AUTH_MODE=token and one
    RAY_AUTH_TOKEN for all of these commands, and keep the ports in a network of their own.

    [bold]Examples[/]

      understudy label frames/ --teacher yolov8x.pt --out runs/labels

      understudy label /nfs/frames --teacher /nfs/x.pt --out /nfs/out --ray-address head:6379

    [bold]In a job file[/] then

      data: {path: street/data.yaml, unlabelled: \[runs/labels/images.txt]}

      further_teachers: \[{detections: runs/labels/detections.jsonl}]

    which must hold the labelled training images too: give their folder among FRAMES.
    """
    with told_plainly(), reporting(given_again(context)) as reporter:
        from distill_jobs.labelling.asked import Asked  # noqa: PLC0415  # keeps --help fast
        from distill_jobs.labelling.labelling import label as work  # noqa: PLC0415  # likewise
        from distill_jobs.labelling.plan import Plan  # noqa: PLC0415  # likewise
        from distill_jobs.labelling.ray_run import Cluster  # noqa: PLC0415  # likewise

        asked = Asked(
            weights=teacher.absolute(),
            image_size=image_size,
            min_score=min_score,
            device="cuda" if gpu else "cpu",
        )
        plan = Plan(
            asked=asked.read(),
            places=tuple(place.absolute() for place in frames),
            video_fps=video_fps,
            shard_frames=shard,
        )
        cluster = Cluster(address=ray_address, workers=workers)
        done = work(plan, out.absolute(), cluster, reporter)
    _tell(Console(), done, out)


def _tell(console: Console, done: "Labelled", out: Path) -> None:
    counts, quoted = done.counts, shlex.quote(str(out))
    good = counts.frames - counts.broken - done.copies
    lines = [f"labelled: {good:,} frames, {counts.objects:,} objects: {quoted}/detections.jsonl"]
    if done.copies:
        lines.append(f"left out: {done.copies:,} that repeat another file, byte for byte")
    if counts.broken:
        lines.append(f"no picture: {counts.broken:,}, see {quoted}/broken.txt")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
