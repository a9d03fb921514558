"""`understudy release`: archive a checkpoint, sign an archive, check a signature."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from distill_jobs.errors import GateRefused
from distill_jobs.telling import told_plainly

if TYPE_CHECKING:
    from distill_jobs.recipe.release import Gate
    from distill_jobs.release.request import ReleaseRequest
    from distill_jobs.release.result import ReleaseResult

release_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""Make, sign and check archives.

    A job does all of this by itself; these commands are for a checkpoint that is trained already
    and for archives that come from elsewhere.""",
)


class Role(StrEnum):
    """Which part a model plays."""

    TEACHER = "teacher"
    STUDENT = "student"


_Archive = Annotated[Path, typer.Argument(metavar="ARCHIVE.mar", help="The archive.")]
_Key = Annotated[
    Path | None,
    typer.Option(
        help="Private key (PEM, EC P-256), made if missing. "
        "Default: signing-key.pem in UNDERSTUDY_HOME, else in ~/.understudy."
    ),
]


@release_app.command()
def build(  # noqa: PLR0917 - Typer reads the options from the parameters
    checkpoint: Annotated[Path, typer.Option(help="Ultralytics detection checkpoint, .pt.")],
    name: Annotated[str, typer.Option(help="Of the model: a-z, 0-9, '.', '_', '-'.")],
    version: Annotated[str, typer.Option(help="1, 1.0 or 1.0.0.")] = "1.0",
    role: Annotated[Role, typer.Option(help="Which part it plays.")] = Role.STUDENT,
    data: Annotated[
        Path | None,
        typer.Option(help="data.yaml of labelled images: measures the quality, allows INT8."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split to measure on; never one trained on. Default: test, "
            "or val with --accept-val."
        ),
    ] = None,
    accept_val: Annotated[
        bool,
        typer.Option("--accept-val", help="Judge on val, which chose the checkpoint and flatters."),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Measure on the first so many images only.")
    ] = None,
    calibration_split: Annotated[
        str, typer.Option(help="Split whose images INT8 is fitted to.")
    ] = "train",
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of images to check exports on without --data: unmeasured."),
    ] = None,
    image_size: Annotated[int, typer.Option(min=32, help="Side of the input, pixels.")] = 640,
    exports: Annotated[
        str | None,
        typer.Option(help="Variants to try, with commas between. Default: those of a job file."),
    ] = None,
    model_store: Annotated[Path, typer.Option(help="Gets the archive.")] = Path("model_store"),
    key: _Key = None,
    data_licence: Annotated[str, typer.Option(help="Licence of the training data.")] = "unknown",
    weights_licence: Annotated[str, typer.Option(help="Of the weights.")] = "AGPL-3.0-or-later",
    teacher: Annotated[
        Path | None,
        typer.Option(help="Its teacher's checkpoint, .pt: the gate holds the student against it."),
    ] = None,
    live: Annotated[
        Path | None,
        typer.Option(help="Archive (.mar) that serves now: the student must not be worse."),
    ] = None,
    gate: Annotated[
        Path | None, typer.Option(help="YAML of limits, as under `gate:` in a job file.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of a runtime while it is timed.")] = 1,
    work_dir: Annotated[
        Path | None,
        typer.Option(
            help="Keeps the exports and report. Default: a temporary folder, kept if refused."
        ),
    ] = None,
) -> None:
    """Archive a checkpoint without training: export, check against PyTorch, measure, sign.

    With [bold]--data[/bold] the quality is measured and an INT8 variant is tried: it is kept if at
    least 97% of its detections match (F1, 100 images or more) and its mAP50-95 falls by half a
    point at most. Without, give [bold]--images[/bold]: the exports are still checked, the card says
    [bold]unmeasured[/bold], and INT8 is left out.

    With [bold]--teacher[/bold] the student is held against it: by mAP and more with labels, by how
    far the two agree without. Its operating thresholds are matched to the teacher's on the data
    set's val split where that does not judge; the default stays otherwise. A refusal names every
    limit that is broken, and leaves report.html in the work folder and nothing in the model store.

    Example:
        understudy release build --checkpoint yolov8n.pt --name coco-n --version 1.0
        --data coco256/data.yaml --accept-val --data-licence CC-BY-4.0
    """
    with told_plainly(), _work_folder(work_dir) as folder:
        from distill_jobs.recipe.release import (  # noqa: PLC0415 - keeps --help fast
            DEFAULT_EXPORTS,
            Licences,
        )
        from distill_jobs.release.cli_shown import show  # noqa: PLC0415 - likewise
        from distill_jobs.release.cli_sources import Sources  # noqa: PLC0415 - likewise
        from distill_jobs.release.request import ReleaseRequest  # noqa: PLC0415 - likewise

        limits = _gate(gate, live)
        accepted = accept_val or limits.accept_val
        found = Sources(data, split, accepted, limit, calibration_split, images).find()
        request = ReleaseRequest(
            checkpoint=checkpoint,
            name=name,
            version=version,
            role="teacher" if role is Role.TEACHER else "student",
            image_size=image_size,
            model_store=model_store,
            signing_key=_key(key),
            work_dir=folder,
            licences=Licences(weights=weights_licence, data=data_licence),
            exports=DEFAULT_EXPORTS if exports is None else _names_in(exports),
            class_names=found.class_names,
            samples=found.samples,
            images=found.images,
            calibration=found.int8.calibration,
            choosing=found.int8.choosing,
            validation=found.validation,
            data=found.data,
            split=found.split,
            taught=found.taught,
            gate=limits,
            threads=threads,
        )
        show(_build(request, teacher))


def _names_in(listed: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in listed.split(",") if part.strip())


@release_app.command()
def sign(archive: _Archive, key: _Key = None) -> None:
    """Sign an archive: writes ARCHIVE.mar.sig beside it.

    The key pair is made on first use; give its public half, signing-key.pub.pem, to whoever
    deploys. Nothing leaves this machine.

    Example:
        understudy release sign model_store/coco-n-1.0.mar
    """
    with told_plainly():
        from distill_jobs.release import sign as signing  # noqa: PLC0415 - keeps --help fast

        signing.must_be_archive(archive)
        private_key = _key(key)
        signature = signing.sign(archive, private_key)
        _say(f"signed: {signature}")
        _say(f"public key: {signing.public_key_of(private_key)}")


@release_app.command()
def verify(
    archive: _Archive,
    public_key: Annotated[
        Path | None, typer.Option(help="Default: signing-key.pub.pem of this user.")
    ] = None,
    signature: Annotated[Path | None, typer.Option(help="Default: ARCHIVE.mar.sig.")] = None,
) -> None:
    """Check that an archive is what the key's holder signed; exit status 2 if not.

    Example:
        understudy release verify model_store/coco-n-1.0.mar
    """
    with told_plainly():
        from distill_jobs.release import sign as signing  # noqa: PLC0415 - keeps --help fast

        known = public_key or signing.public_key_of(signing.default_key())
        signing.verify(archive, known, signature)
        _say(f"good: {archive} is what the holder of {known} signed")


@contextlib.contextmanager
def _work_folder(given: Path | None) -> Iterator[Path]:
    """Give the folder to work in; a temporary one stays where it holds a refusal's report."""
    if given is not None:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="understudy-release-"))
    try:
        yield folder
    except GateRefused:
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _gate(file: Path | None, live: Path | None) -> "Gate":
    from distill_jobs.reading import read  # noqa: PLC0415 - keeps --help fast
    from distill_jobs.recipe.release import Gate  # noqa: PLC0415 - likewise

    limits = read(Gate, file) if file else Gate()
    return limits.model_copy(update={"live": live.resolve()}) if live else limits


def _build(request: "ReleaseRequest", teacher: Path | None) -> "ReleaseResult":
    from distill_jobs.log_lines import job_reporter  # noqa: PLC0415 - keeps --help fast
    from distill_jobs.release.asking import ask_checkpoint  # noqa: PLC0415 - likewise
    from distill_jobs.release.build import build_release  # noqa: PLC0415 - imports torch
    from distill_jobs.release.looking import looked_at  # noqa: PLC0415 - keeps --help fast

    with job_reporter() as reporter, looked_at(request, reporter) as looked:
        held = ask_checkpoint(teacher, looked, reporter) if teacher is not None else None
        return build_release(replace(looked, teacher=held), reporter)


def _key(private_key: Path | None) -> Path:
    from distill_jobs.release import sign as signing  # noqa: PLC0415 - keeps --help fast

    return signing.ensure_key(private_key or signing.default_key())


def _say(text: str) -> None:
    from distill_jobs.release.cli_shown import say  # noqa: PLC0415 - keeps --help fast

    say(text)
