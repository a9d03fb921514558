"""One release from start to end: export, check, gate, archive, sign.

Nothing is in the model store until the last step; a failure before it leaves the work folder only.
"""

from collections.abc import Sequence
from pathlib import Path

from distill_jobs import checkpoints
from distill_jobs.errors import NoVariantLeft
from distill_jobs.progress import Reporter
from distill_jobs.release import (
    archive,
    assess,
    card,
    claim,
    export,
    gate,
    golden,
    report,
    sbom,
    sign,
)
from distill_jobs.release.answers import ask
from distill_jobs.release.checking import Checked, check_variants
from distill_jobs.release.looking import looked_at
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.requirements import device_for
from distill_jobs.release.result import ReleaseResult, VariantResult
from distill_jobs.release.runtimes import TorchRuntime, torch_threads_kept
from distill_jobs.release.told import Told
from distill_jobs.release.workbench import Workbench, prepare, stage_of
from handlers.pipeline import Detections, Pipeline
from handlers.runtimes import load_runtime
from proto.wire.v1 import card_pb2


def build_release(request: ReleaseRequest, reporter: Reporter) -> ReleaseResult:
    """Build, check, archive and sign a release.

    Args:
        request: What to build.
        reporter: Told of stages and progress.

    Returns:
        What passed, and stands in the model store unless the request holds it back.

    Raises:
        ReleaseError: The request, the model, the gate, the archiver or the key says no.
        CheckpointRefused: The checkpoint is no detector.
        DataSetInvalid: An image or a label does not fit.
    """
    archive.refuse_taken(request.model_store, request.key)
    with export.no_torchscript_noise(), looked_at(request, reporter) as looked:
        return release_prepared(prepare(looked, reporter))


def publish_staged(request: ReleaseRequest) -> archive.Published:
    """Put the archive of a release that passed into the model store, signed.

    Args:
        request: What it was built from.

    Raises:
        ReleaseExists: The name and version are taken.
        ArchiveFailed: The archiver or the file system failed.
        SignatureError: The key cannot be used.
    """
    published = archive.publish(
        stage_of(request.work_dir, request.key),
        name=request.name,
        version=request.version,
        model_store=request.model_store,
        signing_key=request.signing_key,
        packed_as=lambda packed: claim.lay(packed, request.work_dir),
    )
    with archive.undone_on_failure(published.archive):
        report.add_archive(published, request.work_dir)
    return published


def release_prepared(bench: Workbench) -> ReleaseResult:
    """Go on from a checkpoint that was asked about every image to what `build_release` returns.

    Args:
        bench: What `prepare` returned.

    Raises:
        ReleaseError: As `build_release`.
    """
    request, reporter = bench.request, bench.reporter
    checked, left_out = check_variants(bench)
    if not checked:
        raise NoVariantLeft(left_out)
    bench = _at_thresholds_that_serve(bench, checked[0].result)
    told = _judge(bench, checked, left_out)
    page = report.write(told)
    for check in told.findings.checks:
        if check.limit is not None:
            reporter.note(f"{request.key}: {check.line}")
    gate.refuse_failed(told.findings.checks, page)
    return _finish(bench, told)


def _at_thresholds_that_serve(bench: Workbench, default: VariantResult) -> Workbench:
    """Choose the thresholds anew where a reduced precision serves: its scores lie elsewhere."""
    if default.name.endswith("-fp32") or assess.nothing_to_match(bench.request) is not None:
        return bench
    answers = _ask(bench, default, bench.images.validation, "validation")
    return bench.with_thresholds(
        assess.choose_thresholds(bench.request, bench.card.class_names, answers)
    )


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
    if not bench.images.frames or bench.request.role == "teacher":
        return ()
    return _ask(bench, default, bench.images.frames, "frames")


def _ask(
    bench: Workbench, variant: VariantResult, images: Sequence[Path], where: str
) -> tuple[Detections, ...]:
    bench.reporter.stage(f"{bench.request.key}: {variant.name}'s answers on {where}", len(images))
    with torch_threads_kept():
        runtime = load_runtime(
            bench.card, bench.stage, variant.name, gpu_id=device_for(variant.name)
        )
        return ask(bench.card, runtime, images, (), on_image=bench.reporter.advance).detections


def _finish(bench: Workbench, told: Told) -> ReleaseResult:
    request = bench.request
    bench.reporter.stage(f"{request.key}: archive and signature", 1)
    finished = _stage(bench, told)
    published = publish_staged(request) if request.publish else None
    bench.reporter.advance(1)
    target = archive.path_in(request.model_store, request.key)
    return ReleaseResult(
        archive=target,
        signature=sign.signature_of(target),
        card=finished,
        quality=told.in_pytorch,
        variants=tuple(told.variants),
        left_out=told.left_out,
        file_bytes=published.file_bytes if published else 0,
        parameters=bench.parameters,
        sha256=published.sha256 if published else "",
        checks=told.findings.checks,
        thresholds=told.findings.thresholds,
    )


def _stage(bench: Workbench, told: Told) -> card_pb2.Card:
    """Lay out the whole archive, its card last."""
    request = bench.request
    frames = golden.choose(
        request.image_files,
        bench.reference.detections,
        Pipeline(bench.card, TorchRuntime(bench.module)),
    )
    checkpoint_sha256 = checkpoints.digest(request.checkpoint)
    digests = archive.stage(bench.stage, {frame.file: frame.image for frame in frames})
    bill = sbom.of_release(request, checkpoint_sha256, digests)
    digests[sbom.SBOM_NAME] = archive.add(bench.stage, sbom.SBOM_NAME, bill)
    finished = card.complete(
        bench.drafted,
        request,
        measured=card.Measured(
            told.quality,
            bench.parameters,
            checkpoint_sha256,
            told.findings,
        ),
        variants=told.variants,
        tolerances=_tolerances(bench, told.variants, frames),
        golden=frames,
        digests=digests,
    )
    (bench.stage / archive.CARD_NAME).write_text(card.as_json(finished), encoding="utf-8")
    return finished


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
