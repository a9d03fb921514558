"""One release from start to end: export, check, gate, archive, sign.

Nothing is in the model store until the last step; a failure before it leaves the work folder only.
"""

from collections.abc import Sequence

from distill_jobs import checkpoints
from distill_jobs.errors import NoVariantLeft
from distill_jobs.progress import Reporter
from distill_jobs.release import archive, assess, card, export, gate, golden, report
from distill_jobs.release.answers import ask
from distill_jobs.release.checking import Checked, check_variants
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.requirements import device_for
from distill_jobs.release.result import ReleaseResult, VariantResult
from distill_jobs.release.runtimes import TorchRuntime, torch_threads_kept
from distill_jobs.release.told import Told
from distill_jobs.release.workbench import Workbench, prepare
from handlers.pipeline import Detections, Pipeline
from handlers.runtimes import load_runtime
from proto.wire.v1 import card_pb2


def build_release(request: ReleaseRequest, reporter: Reporter) -> ReleaseResult:
    """Build, check, archive and sign a release.

    Args:
        request: What to build.
        reporter: Told of stages and progress.

    Returns:
        What stands in the model store.

    Raises:
        ReleaseError: The request, the model, the gate, the archiver or the key says no.
        CheckpointRefused: The checkpoint is no detector.
        DataSetInvalid: An image or a label does not fit.
    """
    archive.refuse_taken(request.model_store, request.key)
    with export.no_torchscript_noise():
        return _build(request, reporter)


def _build(request: ReleaseRequest, reporter: Reporter) -> ReleaseResult:
    bench = prepare(request, reporter)
    checked, left_out = check_variants(bench)
    if not checked:
        raise NoVariantLeft(left_out)
    told = _judge(bench, checked, left_out)
    page = report.write(told)
    for check in told.findings.checks:
        if check.limit is not None:
            reporter.note(f"{request.key}: {check.line}")
    gate.refuse_failed(told.findings.checks, page)
    result = _publish(bench, told)
    report.add_archive(result, request.work_dir)
    return result


def _judge(bench: Workbench, checked: Sequence[Checked], left_out: dict[str, str]) -> Told:
    """Hold the limits against what will serve: the answers of the default variant."""
    request = bench.request
    variants = [one.result for one in checked]
    frames = _frames(bench, variants[0])
    bench.reporter.stage(f"{request.key}: gate", 1)
    live = assess.live_model(request, bench.card.class_names, bench.images)
    own = assess.Own(checked[0].answers.detections, frames, bench.card, bench.stage, variants)
    findings = assess.find_out(request, own, live, bench.chosen)
    bench.reporter.advance(1)
    return Told(
        request=request,
        findings=findings,
        quality=variants[0].quality,
        in_pytorch=bench.reference.quality,
        parameters=bench.parameters,
        variants=variants,
        left_out=left_out,
        live=live.name if live else "",
    )


def _frames(bench: Workbench, default: VariantResult) -> tuple[Detections, ...]:
    images = bench.images.frames
    if not images or bench.request.role == "teacher":
        return ()
    bench.reporter.stage(f"{bench.request.key}: {default.name}'s answers on frames", len(images))
    with torch_threads_kept():
        runtime = load_runtime(
            bench.card, bench.stage, default.name, gpu_id=device_for(default.name)
        )
        return ask(bench.card, runtime, images, (), on_image=bench.reporter.advance).detections


def _publish(bench: Workbench, told: Told) -> ReleaseResult:
    request = bench.request
    bench.reporter.stage(f"{request.key}: archive and signature", 1)
    frames = golden.choose(
        request.image_files,
        bench.reference.detections,
        Pipeline(bench.card, TorchRuntime(bench.module)),
    )
    measured = card.Measured(
        told.quality,
        bench.parameters,
        checkpoints.digest(request.checkpoint),
        told.findings,
    )
    finished = card.complete(
        bench.drafted,
        request,
        measured=measured,
        variants=told.variants,
        tolerances=_tolerances(bench, told.variants, frames),
        golden=frames,
        digests=archive.stage(bench.stage, {frame.file: frame.image for frame in frames}),
    )
    (bench.stage / archive.CARD_NAME).write_text(card.as_json(finished), encoding="utf-8")
    published = archive.publish(
        bench.stage,
        name=request.name,
        version=request.version,
        model_store=request.model_store,
        signing_key=request.signing_key,
    )
    bench.reporter.advance(1)
    return ReleaseResult(
        archive=published.archive,
        signature=published.signature,
        card=finished,
        quality=told.in_pytorch,
        variants=tuple(told.variants),
        left_out=told.left_out,
        file_bytes=published.archive.stat().st_size,
        parameters=measured.parameters,
        sha256=checkpoints.digest(published.archive),
        checks=told.findings.checks,
        thresholds=told.findings.thresholds,
    )


def _tolerances(
    bench: Workbench, variants: Sequence[VariantResult], frames: Sequence[golden.Golden]
) -> dict[str, card_pb2.Tolerance]:
    tolerances = {}
    with torch_threads_kept():
        for variant in variants:
            gpu_id = device_for(variant.name)
            runtime = load_runtime(bench.card, bench.stage, variant.name, gpu_id=gpu_id)
            precision = variant.name.split("-")[1]
            tolerances[variant.name] = golden.tolerance(
                frames, Pipeline(bench.card, runtime), precision
            )
    return tolerances
