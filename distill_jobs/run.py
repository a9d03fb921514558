"""A job run from its file to its archives, and a run gone on with where it was."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from distill_jobs.environment import offline, process_count, process_rank
from distill_jobs.errors import RunFolderInvalid
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.pruning import cut_for_all
from distill_jobs.results import RunResult, read_result
from distill_jobs.run_folder import RunFolder
from distill_jobs.steps import release_steps, student_step, teacher_step
from distill_jobs.taking_in import data_step
from distill_jobs.tracking.pushed import run_pushed
from distill_jobs.tracking.run_page import page_written
from distill_jobs.training.listening import EpochListener

__all__ = ["RunResult", "follow", "prepare", "resume", "run_job", "train_student"]


def run_job(
    job_file: Path,
    run_dir: Path,
    *,
    reporter: Reporter,
    model_store: Path | None = None,
    signing_key: Path | None = None,
) -> RunResult:
    """Run a job from its file to signed archives.

    Args:
        job_file: YAML.
        run_dir: New folder for everything the run writes but the archives.
        reporter: Told of progress.
        model_store: Gets the archives; `model_store/` of the working directory when None.
        signing_key: Private key, PEM, made if missing; the user's own when None.

    Returns:
        Paths and figures.

    Raises:
        JobError: The job file, the data, a checkpoint, the training or the gate says no; the run
            can be resumed where that makes sense.
    """
    offline()
    from distill_jobs.release.sign import default_key, ensure_key  # noqa: PLC0415  # heavy
    from distill_jobs.releasing import refuse_taken  # noqa: PLC0415  # likewise

    job = Job.load(job_file)
    key = (signing_key or default_key()).absolute()
    store = (model_store or Path("model_store")).resolve()
    refuse_taken(job, store)
    if job.archive is not None:
        ensure_key(key)  # now, rather than after an hour of training
    places = {"model_store": str(store), "signing_key": str(key)}
    folder = RunFolder.create(run_dir.absolute(), job_file, places)
    return _go_on(folder, reporter)


def resume(run_dir: Path, *, reporter: Reporter) -> RunResult:
    """Go on with a run that was killed or failed; finished steps are not done again.

    A training goes on from its last finished epoch, or from a batch within it (`checkpoint_batches`
    of the job file), with weights, EMA and optimizer in full precision and every random state. On
    the CPU of one machine its result is that of a run that was never stopped, bit for bit; on a GPU
    as far as its kernels repeat themselves.

    Raises:
        DataChanged: The data is not what the run locked.
        RunFolderInvalid: The folder is a sweep's, or one of its trials'.
        JobError: As `run_job`.
    """
    offline()
    folder = RunFolder.open(run_dir.absolute())
    if folder.kind != "run":
        sweep = folder.path if folder.kind == "sweep" else folder.path.parent.parent
        raise RunFolderInvalid(
            folder.path,
            f"is a {folder.kind}, which releases nothing: go on with the sweep, "
            f"`understudy job sweep JOB.YAML --sweep-dir {sweep}`",
        )
    return _go_on(folder, reporter)


def prepare(folder: RunFolder, reporter: Reporter) -> None:
    """Do the data and teacher steps and the student's cut: what the trials of a sweep share.

    Raises:
        JobError: As `run_job`.
    """
    offline()
    job = folder.job()
    data_step(folder, job, reporter)
    teacher_step(folder, job, reporter)
    cut_for_all(folder, job, reporter)


def train_student(
    folder: RunFolder, reporter: Reporter, listeners: Sequence[EpochListener] = ()
) -> None:
    """Do the student step of a run whose data and teacher are there.

    Args:
        folder: Of the run.
        reporter: Told of progress.
        listeners: Told of every epoch; what they raise ends the training.

    Raises:
        JobError: As `run_job`.
    """
    offline()
    student_step(folder, folder.job(), reporter, listeners)


def follow() -> bool:
    """Train along with the first process that `torchrun` started for a job.

    Returns:
        False at once where this process is the first, or the only one; else True once the job
        needs it no more.
    """
    if process_rank() == 0:
        return False
    offline()
    from distill_jobs.training.train import follow as train_along  # noqa: PLC0415  # heavy

    train_along()
    return True


@contextlib.contextmanager
def _followers() -> Iterator[None]:
    """Let `torchrun`'s other processes go when the block ends."""
    if process_count() == 1:
        yield
        return
    from distill_jobs.training.train import with_followers  # noqa: PLC0415  # heavy

    with with_followers():
        yield


def _go_on(folder: RunFolder, reporter: Reporter) -> RunResult:
    from distill_jobs.release.beforehand import refuse_hopeless  # noqa: PLC0415  # heavy
    from distill_jobs.releasing import refuse_unfit  # noqa: PLC0415  # likewise

    with folder.alone(), run_pushed(folder, reporter), page_written(folder, reporter):
        job = folder.job()
        with _followers():
            dataset = data_step(folder, job, reporter)
            refuse_unfit(job, dataset)
            refuse_hopeless(folder, job, dataset, reporter)
            teacher_step(folder, job, reporter)
            student_step(folder, job, reporter)
        # Nobody waits through it: other processes would give up after hours, and end this one.
        release_steps(folder, job, dataset, reporter)
    return read_result(folder)
