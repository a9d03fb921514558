"""The demo's steps in order: the job, the deployment, the performance, the report."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from rich.console import Console

from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import PROJECT_ROOT
from distill_jobs.errors import JobError
from distill_jobs.job import Job
from distill_jobs.progress import Reporter
from distill_jobs.release.sign import default_key, public_key_of
from distill_jobs.results import ModelResult, RunResult
from distill_jobs.run import run_job
from understudy.demo import figures, pictures
from understudy.demo.cast import release_name
from understudy.demo.clearing import clear, released_by
from understudy.demo.fleet import Outcome
from understudy.demo.performance import Load, Performance, perform
from understudy.demo.stack import Stack, serving

DEMO_JOB = PROJECT_ROOT / "distill_jobs" / "demo" / "job.yaml"
PICTURES = 3


@dataclass(frozen=True)
class Stage:
    """Where the demo plays.

    Attributes:
        job_file: What is distilled.
        folder: Gets the run, the server's state, pictures and the report; a demo's is replaced.
        model_store: Gets the archives; those of the demo before are replaced.
        load: How hard the cameras press.
    """

    job_file: Path
    folder: Path
    model_store: Path
    load: Load = field(default_factory=Load)

    @property
    def run_dir(self) -> Path:
        """The job's run."""
        return self.folder / "job"

    @property
    def report_file(self) -> Path:
        """All the figures."""
        return self.folder / "report.json"


class Clock:
    """How long each part took, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 1)


def play(stage: Stage, reporter: Reporter) -> figures.Report:
    """Play the whole demo.

    The job runs outside the event loop, which would keep Ctrl-C from it.

    Args:
        stage: Where.
        reporter: Told of progress.

    Returns:
        The report, which also lies in `stage.report_file`.

    Raises:
        JobError: The job said no.
        StackFailed: The server did not start.
        AdminError: It refused a deploy or a route.
        TimeoutError: A swap did not reach the cameras.
    """
    clock = Clock()
    job = _playable(stage.job_file)
    archives = () if stage.job_file != DEMO_JOB else released_by(job.name, stage.model_store)
    clear(stage.folder, stage.run_dir, archives)
    with clock.part("job"):
        result = run_job(
            stage.job_file, stage.run_dir, reporter=reporter, model_store=stage.model_store
        )
    models = _models(result)
    releases = {arm: release_name(model) for arm, model in models.items()}
    data = Dataset.load(result.data)
    images = [sample.image for sample in data.split(data.held_out_split)]
    with clock.part("serve"):
        performance = asyncio.run(_serve(stage, releases, images, reporter))
    report = _report(result, models, performance, stage, clock)
    report.write(stage.report_file)
    return report


def _playable(job_file: Path) -> Job:
    """Read the job before anything is removed or run.

    Raises:
        JobError: It cannot be read, or leaves nothing to serve.
    """
    job = Job.load(job_file)
    if job.student is None or job.archive is None:
        raise JobError(f"{job_file}: the demo serves two archives: give `student:` and `archive:`")
    return job


async def _serve(
    stage: Stage, releases: dict[str, str], images: Sequence[Path], reporter: Reporter
) -> Performance:
    trusted = ("--trusted-key", str(public_key_of(default_key())))
    places = (stage.folder / "state", stage.model_store, stage.folder / "serve.log")
    frames = [image.read_bytes() for image in images]
    reporter.stage("serve: start, deploy", 1 + len(releases))
    async with serving(*places, options=trusted) as stack:
        reporter.advance()
        for release in releases.values():
            await stack.call("POST", "/releases", {"path": f"{release}.mar"})
            reporter.advance()
        _tell_addresses(stack, reporter)
        performance = await perform(stack, releases, frames, stage.load, reporter)
        await pictures.write_side_by_side(stack, images, stage.folder / "pictures", PICTURES)
        await _keep_metrics(stack, stage.folder / "metrics.txt")
    return performance


def _models(result: RunResult) -> dict[str, ModelResult]:
    if result.student is None:
        raise RuntimeError("a job with a student ended without one")
    return {"teacher": result.teacher, "student": result.student}


def _tell_addresses(stack: Stack, reporter: Reporter) -> None:
    addresses = stack.addresses
    reporter.note(f"cameras    {addresses.http_url}/v1/detect and gRPC {addresses.grpc_address}")
    reporter.note(f"metrics    {addresses.metrics_url} (ours)")
    reporter.note(f"           {addresses.torchserve_metrics_url} (TorchServe's)")


async def _keep_metrics(stack: Stack, path: Path) -> None:
    """Save what the metrics said at the end: the server goes away with the demo."""
    addresses = stack.addresses
    headers = {"Authorization": f"Bearer {stack.key}"}
    async with httpx.AsyncClient(headers=headers) as client:
        for number, url in enumerate((addresses.metrics_url, addresses.torchserve_metrics_url)):
            reply = await client.get(url)
            reply.raise_for_status()
            mode = "ab" if number else "wb"
            with path.open(mode) as file:
                file.write(f"# {url}\n".encode() + reply.content)


def _arm(
    model: ModelResult, release: str, arm: str, performance: Performance
) -> figures.ArmFigures:
    name = figures.variant_of(performance.sent, arm)
    (served,) = [one for one in model.variants if one.name == name]
    p50, p99 = figures.latency_ms(performance.shared, arm)
    return figures.ArmFigures(
        archive=f"{release}.mar",
        variant=served.name,
        parameters=model.parameters,
        weights_bytes=served.file_bytes,
        memory_bytes=performance.memory_bytes[arm],
        map50=served.map50 or 0.0,
        map50_95=served.map50_95 or 0.0,
        model_p50_ms=served.p50_ms,
        model_p99_ms=served.p99_ms,
        served_p50_ms=p50,
        served_p99_ms=p99,
        requests=sum(one.arm == arm for one in performance.sent),
    )


def _report(
    result: RunResult,
    models: dict[str, ModelResult],
    performance: Performance,
    stage: Stage,
    clock: Clock,
) -> figures.Report:
    arms = {
        arm: _arm(model, release_name(model), arm, performance) for arm, model in models.items()
    }
    return figures.Report(
        teacher=arms["teacher"],
        student=arms["student"],
        retention_map50=arms["student"].map50 / arms["teacher"].map50,
        requests=len(performance.sent),
        failed=figures.count(performance.sent, Outcome.FAILED),
        hung=figures.count(performance.sent, Outcome.HUNG),
        strays=performance.strays,
        errors=figures.errors(performance.sent),
        swap_seconds=performance.swap_s,
        rollback_seconds=performance.rollback_s,
        cameras=stage.load.cameras,
        seconds=clock.seconds,
        machine=figures.machine(),
        finished=figures.now(),
    )


def tell(report: figures.Report, stage: Stage, console: Console) -> None:
    """Print what a person wants to know of a report, on 80 columns."""
    console.print()
    console.print(figures.table(report))
    console.print()
    for line in (
        f"{report.requests} frames of {report.cameras} cameras, those during the swaps included:",
        f"{report.failed} failed, {report.hung} hung, {report.strays} answered by the wrong arm",
        f"swap to the student in {report.swap_seconds:.2f} s, "
        f"back to the teacher in {report.rollback_seconds:.2f} s",
        f"report     {_near(stage.report_file)}",
        f"pictures   {_near(stage.folder / 'pictures')}",
        f"metrics    {_near(stage.folder / 'metrics.txt')} (at the end; the server has stopped)",
        f"archives   {report.teacher.archive}, {report.student.archive} "
        f"in {_near(stage.model_store)}",
    ):
        console.print(line, highlight=False, soft_wrap=True)
    for error, number in report.errors.items():
        console.print(f"[red]{number} x {error}[/red]", soft_wrap=True)


def _near(path: Path) -> Path:
    """Return a path as seen from the working folder where it lies below it: shorter to read."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
