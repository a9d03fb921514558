"""Each variant made, held against PyTorch and timed; what does not pass is left out, and why.

INT8 can be made in several ways. Which one is taken is decided on images that do not judge; the
held-out split then judges that one alone, once. Variants may share a file: it is made for the first
of them, and goes when none of them passes.
"""

import shutil
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from distill_jobs.data.dataset import Sample
from distill_jobs.errors import TrainingFailed, UnsupportedModel
from distill_jobs.release import parity
from distill_jobs.release.answers import ask, tensor_of
from distill_jobs.release.making import Attempt, needs_calibration
from distill_jobs.release.parity import Answers, Verdict
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.requirements import cannot_measure, device_for, is_for_gpus
from distill_jobs.release.result import VariantResult
from distill_jobs.release.runtimes import TorchRuntime, measure_latency, torch_threads_kept
from distill_jobs.release.workbench import Workbench
from handlers.errors import HandlerError
from handlers.runtimes import Runtime, load_runtime

_RAW_CHECK_IMAGES = 8
# What says that a variant cannot be made or does not run: the others may.
_FAULTS = (HandlerError, TrainingFailed, UnsupportedModel)


@dataclass(frozen=True)
class Checked:
    """A variant that passed.

    Attributes:
        result: Its figures.
        answers: On the images that the gate judges by.
    """

    result: VariantResult
    answers: Answers


def check_variants(bench: Workbench) -> tuple[list[Checked], dict[str, str]]:
    """Make and check every variant that was asked for.

    Args:
        bench: The release under way; its stage gets the files of those that pass.

    Returns:
        Those that passed, the default first: the fastest, and what few machines can run last. And
        why each of the others was left out, by name.
    """
    passed: list[Checked] = []
    left_out: dict[str, str] = {}
    chooser = _Chooser(bench)
    for name in bench.request.exports:
        held = {one.result.file for one in passed}  # by those that passed: let be
        checked = _cannot_make(bench.request, name) or _make_and_check(chooser, name, held)
        if isinstance(checked, Checked):
            passed.append(checked)
            continue
        if bench.request.keep_unmeasured and is_for_gpus(name) and cannot_measure(name):
            checked = f"{checked} It lies in {_keep_unmeasured(bench, name)}"
        left_out[name] = checked
        bench.reporter.note(f"{bench.request.key}: {name} is left out: {checked}")
        if bench.card.variant(name).file not in held:
            _file_of(bench, name).unlink(missing_ok=True)
    passed.sort(key=lambda one: _default_first(one.result))
    return passed, left_out


def _default_first(variant: VariantResult) -> tuple[bool, float]:
    return device_for(variant.name) is not None, variant.latency.p50_ms


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
    if needs_calibration(name) and not request.calibration:
        return "INT8 needs calibration images"
    if not request.samples:
        return "its mAP cannot be measured without labelled images"
    if len(request.samples) < parity.MIN_HELD_OUT_IMAGES:
        return (
            f"{len(request.samples)} held-out images are too few to judge a reduced precision: "
            f"give at least {parity.MIN_HELD_OUT_IMAGES}"
        )
    return ""


def _make_and_check(chooser: "_Chooser", name: str, held: Set[str]) -> Checked | str:
    """Export one variant and hold it against PyTorch; returns why it is left out otherwise."""
    bench = chooser.bench
    try:
        with torch_threads_kept():
            if bench.card.variant(name).file not in held:
                chooser.make(name)
            return _check(bench, name)
    except _FAULTS as error:
        return error.message


class _Chooser:
    """Makes variants; of several ways the one that does best on the images that choose.

    Args:
        bench: The release under way.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    def make(self, name: str) -> None:
        """Write a variant's file."""
        attempts = list(self.bench.maker.attempts(name))
        if len(attempts) > 1 and self.bench.request.choosing:
            self._make_best(name, attempts)
        else:
            attempts[0].write(_file_of(self.bench, name))

    def _make_best(self, name: str, attempts: Sequence[Attempt]) -> None:
        """Make a variant in the first way that passes on the images that choose.

        Where none does, in the one that agrees most with PyTorch there. The limits are held against
        the figures themselves: a bound is for the images that judge.
        """
        bench = self.bench
        file, best = _file_of(bench, name), bench.request.work_dir / "best-attempt"
        gate = bench.request.gate.model_copy(update={"confidence": None})
        highest_f1, fault = -1.0, ""
        for attempt in attempts:
            try:
                attempt.write(file)
                answers = self._answers(_load(bench, name), f"{name}, {attempt.label}")
            except _FAULTS as error:
                fault = error.message
                bench.reporter.note(f"{name} with {attempt.label}: {fault}")
                continue
            verdict = parity.judge("reduced", self._reference, answers, bench.thresholds, gate)
            if verdict.passed:
                best.unlink(missing_ok=True)
                return
            bench.reporter.note(f"{name} with {attempt.label}: {verdict.reason}")
            if verdict.matched.f1 > highest_f1:
                highest_f1 = verdict.matched.f1
                shutil.copyfile(file, best)
        if highest_f1 < 0:
            raise UnsupportedModel(fault)
        best.replace(file)

    @cached_property
    def _reference(self) -> Answers:
        """PyTorch's answers, asked for once for all variants."""
        return self._answers(TorchRuntime(self.bench.module), "PyTorch")

    def _answers(self, runtime: Runtime, who: str) -> Answers:
        return _answers(self.bench, runtime, self.bench.request.choosing, f"{who}, to choose by")


def _answers(bench: Workbench, runtime: Runtime, samples: Sequence[Sample], who: str) -> Answers:
    images = tuple(one.image for one in samples) or bench.request.image_files
    bench.reporter.stage(f"{bench.request.key}: {who}", len(images))
    return ask(bench.card, runtime, images, samples, on_image=bench.reporter.advance)


def _check(bench: Workbench, name: str) -> Checked | str:
    precision = bench.card.variant(name).precision
    runtime = _load(bench, name)
    raw = _raw_fault(bench, runtime) if precision == "fp32" else ""
    if raw:
        return raw
    answers = _answers(bench, runtime, bench.request.samples, f"{name}'s answers")
    verdict = parity.judge(
        precision, bench.reference, answers, bench.thresholds, bench.request.gate
    )
    if not verdict.passed:
        return verdict.reason
    del runtime  # its threads would take the processor from the one that is timed
    return Checked(_timed(bench, name, answers, verdict), answers)


def _raw_fault(bench: Workbench, runtime: Runtime) -> str:
    images = islice(bench.request.image_files, _RAW_CHECK_IMAGES)
    batch = np.stack([tensor_of(bench.card, image) for image in images])
    reference = TorchRuntime(bench.module)
    return parity.raw_fault(reference, runtime, batch, bench.card.input.stride)


def _timed(bench: Workbench, name: str, answers: Answers, verdict: Verdict) -> VariantResult:
    request, file = bench.request, bench.card.variant(name).file
    image = tensor_of(bench.card, request.image_files[0])[None]
    runtime = _load(bench, name, request.threads)
    return VariantResult(
        name=name,
        file=file,
        file_bytes=(bench.stage / file).stat().st_size,
        quality=answers.quality,
        latency=measure_latency(runtime, image, threads=request.threads),
        matched_f1=verdict.matched.f1,
        strict_f1=verdict.strict.f1,
        f1=verdict.f1,
        drop_map50_95=verdict.drop,
    )


def _load(bench: Workbench, name: str, threads: int | None = None) -> Runtime:
    return load_runtime(bench.card, bench.stage, name, threads, device_for(name))


def _file_of(bench: Workbench, name: str) -> Path:
    return bench.stage / bench.card.variant(name).file
