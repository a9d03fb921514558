"""One release from start to end: export, check, gate, archive, sign.

Nothing is in the model store until the last step; a failure before it leaves the work folder only.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from distill_jobs import checkpoints
from distill_jobs.errors import NoVariantLeft, UnsupportedModel
from distill_jobs.progress import Reporter
from distill_jobs.release import archive, assess, card, export, gate, golden, parity, report
from distill_jobs.release.answers import ask, tensor_of
from distill_jobs.release.evaluate import Quality
from distill_jobs.release.parity import Answers, Verdict
from distill_jobs.release.request import (
    Latency,
    Lineage,
    ReleaseRequest,
    ReleaseResult,
    VariantResult,
)
from distill_jobs.release.requirements import cannot_measure, device_for
from distill_jobs.release.runtimes import TorchRuntime, measure_latency, torch_threads_kept
from distill_jobs.release.told import Told
from distill_jobs.release.workbench import Workbench, prepare
from handlers.pipeline import Pipeline
from handlers.runtimes import Runtime, load_runtime
from proto.wire.v1 import card_pb2

__all__ = [
    "Latency",
    "Lineage",
    "Quality",
    "ReleaseRequest",
    "ReleaseResult",
    "VariantResult",
    "build_release",
]

_RAW_CHECK_IMAGES = 8


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
    variants, left_out = _check_variants(bench)
    variants.sort(key=_default_first)
    told = _judge(bench, variants, left_out)
    page = report.write(told)
    for check in told.findings.checks:
        if check.limit is not None:
            reporter.note(f"{request.key}: {check.line}")
    gate.refuse_failed(told.findings.checks, page)
    if not variants:
        raise NoVariantLeft(left_out)
    result = _publish(bench, told)
    report.add_archive(result, request.work_dir)
    return result


def _judge(bench: Workbench, variants: Sequence[VariantResult], left_out: dict[str, str]) -> Told:
    request = bench.request
    bench.reporter.stage(f"{request.key}: gate", 1)
    live = assess.live_model(request, bench.card.class_names, bench.images)
    own = assess.Own(bench.reference.detections, bench.frames, bench.card, bench.stage, variants)
    findings = assess.find_out(request, own, live, bench.chosen)
    bench.reporter.advance(1)
    return Told(
        request=request,
        findings=findings,
        quality=bench.reference.quality,
        parameters=bench.parameters,
        variants=variants,
        left_out=left_out,
        live=live.name if live else "",
    )


def _default_first(variant: VariantResult) -> tuple[bool, float]:
    """Sort the fastest first, and what few machines can run last."""
    return device_for(variant.name) is not None, variant.latency.p50_ms


def _check_variants(bench: Workbench) -> tuple[list[VariantResult], dict[str, str]]:
    passed: list[VariantResult] = []
    left_out: dict[str, str] = {}
    for name in bench.request.exports:
        reason = _cannot_make(bench.request, name)
        result = None if reason else _make_and_check(bench, name)
        if reason and bench.request.keep_unmeasured and cannot_measure(name):
            reason = f"{reason} It lies in {_keep_unmeasured(bench, name)}"
        if isinstance(result, VariantResult):
            passed.append(result)
            continue
        left_out[name] = reason or str(result)
        bench.reporter.note(f"{bench.request.key}: {name} is left out: {left_out[name]}")
        (bench.stage / bench.card.variant(name).file).unlink(missing_ok=True)
    return passed, left_out


def _keep_unmeasured(bench: Workbench, name: str) -> Path:
    """Make a file that no card lists, for whoever can measure it; returns where it lies."""
    file = bench.request.work_dir / "unmeasured" / bench.card.variant(name).file
    file.parent.mkdir(parents=True, exist_ok=True)
    for attempt in islice(bench.maker.attempts(name), 1):
        attempt.write(file)
    return file


def _cannot_make(request: ReleaseRequest, name: str) -> str:
    if name.endswith("fp32"):
        return ""
    if cannot_measure(name):
        return cannot_measure(name)
    if name == "onnxruntime-int8" and not request.calibration:
        return "INT8 needs calibration images"
    if not request.samples:
        return "its mAP cannot be measured without labelled images"
    if len(request.samples) < parity.MIN_HELD_OUT_IMAGES:
        return (
            f"{len(request.samples)} held-out images are too few to judge a reduced precision: "
            f"give at least {parity.MIN_HELD_OUT_IMAGES}"
        )
    return ""


def _make_and_check(bench: Workbench, name: str) -> VariantResult | str:
    """Export one variant and hold it against PyTorch; returns why it was refused otherwise.

    Where there are several ways of making it, the next is tried when one is refused.
    """
    result: VariantResult | str = ""
    file = bench.stage / bench.card.variant(name).file
    for attempt in bench.maker.attempts(name):
        if result:
            bench.reporter.note(f"{name}: {result}; trying {attempt.label}")
        try:
            attempt.write(file)
        except UnsupportedModel as error:
            return error.message
        with torch_threads_kept():
            result = _check(bench, name)
        if isinstance(result, VariantResult):
            return result
    return result


def _check(bench: Workbench, name: str) -> VariantResult | str:
    request, variant = bench.request, bench.card.variant(name)
    runtime = load_runtime(bench.card, bench.stage, name, gpu_id=device_for(name))
    raw = "" if variant.precision != "fp32" else _raw_fault(bench, runtime)
    if raw:
        return raw
    bench.reporter.stage(f"{request.key}: {name}'s answers", len(request.image_files))
    answers = ask(
        bench.card,
        runtime,
        request.image_files,
        request.samples,
        on_image=bench.reporter.advance,
    )
    verdict = parity.judge(
        variant.precision, bench.reference, answers, bench.thresholds, request.gate
    )
    if not verdict.passed:
        return verdict.reason
    del runtime  # its threads would take the processor from the one that is timed
    return _timed(bench, name, answers, verdict)


def _raw_fault(bench: Workbench, runtime: Runtime) -> str:
    images = islice(bench.request.image_files, _RAW_CHECK_IMAGES)
    batch = np.stack([tensor_of(bench.card, image) for image in images])
    return parity.raw_fault(TorchRuntime(bench.module), runtime, batch)


def _timed(bench: Workbench, name: str, answers: Answers, verdict: Verdict) -> VariantResult:
    request, file = bench.request, bench.card.variant(name).file
    image = tensor_of(bench.card, request.image_files[0])[None]
    gpu_id = device_for(name)
    runtime = load_runtime(bench.card, bench.stage, name, request.threads, gpu_id)
    latency = measure_latency(runtime, image, threads=request.threads)
    size = (bench.stage / file).stat().st_size
    return VariantResult(
        name,
        file,
        size,
        answers.quality,
        latency,
        verdict.matched.f1,
        verdict.strict.f1,
        verdict.f1,
        verdict.drop,
    )


def _publish(bench: Workbench, told: Told) -> ReleaseResult:
    request = bench.request
    bench.reporter.stage(f"{request.key}: archive and signature", 1)
    frames = golden.choose(
        request.image_files,
        bench.reference.detections,
        Pipeline(bench.card, TorchRuntime(bench.module)),
    )
    measured = card.Measured(
        bench.reference.quality,
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
        quality=measured.quality,
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
