"""Everything that a release is judged by and tells of itself, gathered from its answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distill_jobs.errors import ReleaseInvalid
from distill_jobs.release import gate, sign, standard
from distill_jobs.release.agreement import Rule, compare_each
from distill_jobs.release.calibration import Calibration, calibrate
from distill_jobs.release.checks import Check
from distill_jobs.release.evaluate import match_all
from distill_jobs.release.evidence import Accord, Evidence, Held, Measured
from distill_jobs.release.frames import Frames
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.result import VariantResult
from distill_jobs.release.standard import Images, Standard
from distill_jobs.release.thresholds import ClassThreshold, keep_default, match_thresholds
from distill_jobs.release.turns import default_bytes, in_turns
from handlers.card import Card
from handlers.pipeline import Detections

# What cameras hear of is compared, so a box just under its threshold is no partner.
_AS_HEARD = Rule(band=0.0)


@dataclass(frozen=True)
class Findings:
    """What was found out about a release.

    Attributes:
        evidence: The figures.
        checks: Each limit of the gate beside its figure.
        thresholds: Why each class's operating threshold is what it is.
        calibration: Of the student's scores on the held-out images; None: no labels.
        teacher_calibration: Of the teacher's; None without a teacher.
    """

    evidence: Evidence
    checks: tuple[Check, ...]
    thresholds: tuple[ClassThreshold, ...]
    calibration: Calibration | None
    teacher_calibration: Calibration | None


@dataclass(frozen=True)
class Own:
    """The release's own answers and files.

    Attributes:
        answers: The default variant's, one an image of the check images.
        frames: Likewise, one a frame of `gate.frames`.
        card: As the handlers read it, operating thresholds in place.
        stage: Where its exported files lie.
        variants: Those that passed, the default first.
    """

    answers: Sequence[Detections]
    frames: Sequence[Detections]
    card: Card
    stage: Path
    variants: Sequence[VariantResult]


def images_of(request: ReleaseRequest) -> Images:
    """Return the images that a request's models are asked about; frames where they were looked at.

    Args:
        request: As `looking.looked_at` gives it.
    """
    frames = request.frames or Frames()
    return Images(
        held_out=request.image_files,
        validation=tuple(sample.image for sample in request.validation),
        frames=frames.images,
        frames_sha256=frames.sha256,
    )


def choose_thresholds(
    request: ReleaseRequest, class_names: Sequence[str], validation: Sequence[Detections]
) -> tuple[ClassThreshold, ...]:
    """Choose the operating thresholds of a release.

    Args:
        request: With its teacher, rules and validation split.
        class_names: Index = class id.
        validation: The release's own answers on the validation split.

    Returns:
        One a class.

    Raises:
        DataSetInvalid: A label does not fit.
    """
    why = nothing_to_match(request)
    if why is not None or request.teacher is None:
        return keep_default(class_names, request.thresholds, why or "")
    return match_thresholds(
        match_all(validation, request.validation),
        match_all(request.teacher.validation, request.validation),
        request.teacher.thresholds_array,
        class_names,
        request.thresholds,
    )


def nothing_to_match(request: ReleaseRequest) -> str | None:
    """Say why no operating threshold is matched; None where they are, "" where nobody asks."""
    if request.teacher is None:
        return "there is no teacher to match"
    if request.thresholds.match == "none":
        return ""
    if not request.validation or not request.teacher.validation:
        return "there is no validation split beside the one that the gate judges by"
    return None


def find_out(
    request: ReleaseRequest,
    own: Own,
    live: Standard | None,
    thresholds: tuple[ClassThreshold, ...],
) -> Findings:
    """Gather the evidence and hold the gate's limits against it.

    Args:
        request: What was asked for.
        own: The release's answers.
        live: The live model's; None where there is none.
        thresholds: The release's.

    Returns:
        What came of it; nothing is refused yet.

    Raises:
        DataSetInvalid: A label does not fit.
    """
    evidence = _evidence(request, own, live)
    teacher = evidence.teacher
    return Findings(
        evidence=evidence,
        checks=gate.check_all(evidence, request.gate) if request.role == "student" else (),
        thresholds=thresholds,
        calibration=calibrate(evidence.student.matches) if evidence.student else None,
        teacher_calibration=calibrate(teacher.matches) if teacher else None,
    )


def live_model(
    request: ReleaseRequest, class_names: Sequence[str], images: Images
) -> Standard | None:
    """Ask the live model about the same images; None where the gate names none, or for a teacher.

    Raises:
        ReleaseInvalid: It is absent, no archive, or of other classes.
        SignatureError: The key's holder did not sign it.
    """
    if request.gate.live is None or request.role == "teacher":
        return None
    return standard.from_archive(
        request.gate.live,
        sign.public_key_of(request.signing_key),
        request.work_dir / "live",
        images,
        class_names,
        on_image=lambda _: None,
    )


def _evidence(request: ReleaseRequest, own: Own, live: Standard | None) -> Evidence:
    mine = Standard(
        request.key,
        own.card.class_names,
        own.card.post_processing.operating_thresholds,
        tuple(own.answers),
        frames=tuple(own.frames),
        frames_sha256=request.frames.sha256 if request.frames else (),
        folder=own.stage,
    )
    held = None
    if request.samples:
        held = Held.out(request.samples, own.card.class_names, request.gate.resamples)
    default = own.variants[0]
    return Evidence(
        held=held,
        student=_measured(mine, held),
        teacher=_measured(request.teacher, held),
        live=_measured(live, held),
        accord=_accord(request, mine),
        live_accord=_accord(request, live),
        file_bytes=default.file_bytes,
        teacher_file_bytes=default_bytes(request.teacher),
        latency_ratios=in_turns(request, own.card, own.stage, default.name),
    )


def _measured(model: Standard | None, held: Held | None) -> Measured | None:
    if model is None or held is None:
        return None
    return Measured.of(model.held_out, model.thresholds_array, held)


def _accord(request: ReleaseRequest, model: Standard | None) -> Accord | None:
    """Compare a model with the teacher on unlabelled frames, or on all images without labels."""
    teacher = request.teacher
    if teacher is None or model is None:
        return None
    pairs = (teacher.frames, model.frames)
    if not request.gate.frames:
        pairs = ((), ()) if request.samples else (teacher.held_out, model.held_out)
    elif teacher.frames_sha256 != model.frames_sha256:
        raise ReleaseInvalid(
            "gate.frames",
            f"{teacher.name} and {model.name} were asked about different frames: their answers do "
            "not compare. Ask both within one look at the folder",
        )
    if not pairs[0]:
        return None
    both = (teacher.thresholds_array, model.thresholds_array)
    return Accord.of(compare_each(*pairs, both, _AS_HEARD), request.gate.resamples)
