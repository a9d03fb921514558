"""What a release's card says of its thresholds, its classes, and the gate."""

import math
from collections.abc import Sequence

import numpy as np

from distill_jobs.release.assess import Findings
from distill_jobs.release.bootstrap import REPORTED_CONFIDENCE, as_they_are
from distill_jobs.release.checks import Check
from distill_jobs.release.evidence import Measured
from distill_jobs.release.thresholds import ClassThreshold
from proto.wire.v1 import card_pb2


def write_findings(card: card_pb2.Card, findings: Findings) -> None:
    """Add what was found out to a card that has its quality already."""
    del card.post_processing.threshold_origins[:]
    card.post_processing.threshold_origins.extend(_origin(one) for one in findings.thresholds)
    card.gate.extend(_check(one) for one in findings.checks)
    student = findings.evidence.student
    if student is not None:
        card.quality.per_class.extend(_classes(student))
    teacher = findings.evidence.teacher
    if teacher is not None:
        card.quality.teacher_map50 = teacher.scores.whole.map50[0]
        card.quality.teacher_map50_95 = teacher.scores.whole.map50_95[0]
    if findings.calibration is not None and findings.calibration.detections:
        card.quality.calibration_error = findings.calibration.error
    if findings.teacher_calibration is not None and findings.teacher_calibration.detections:
        card.quality.teacher_calibration_error = findings.teacher_calibration.error


def _origin(chosen: ClassThreshold) -> card_pb2.ThresholdOrigin:
    message = card_pb2.ThresholdOrigin(
        class_id=chosen.class_id,
        matched=chosen.matched,
        note=chosen.note,
        instances=chosen.instances,
    )
    if chosen.student is not None and chosen.teacher is not None:
        message.detections = chosen.student.detections
        message.teacher_detections = chosen.teacher.detections
        if chosen.student.precision is not None:
            message.precision = chosen.student.precision
        if chosen.teacher.precision is not None:
            message.teacher_precision = chosen.teacher.precision
    return message


def _check(check: Check) -> card_pb2.GateCheck:
    message = card_pb2.GateCheck(
        rule=check.rule,
        subject=check.subject,
        what=check.what,
        detail=check.detail,
        confidence=check.confidence or REPORTED_CONFIDENCE,
        verdict=check.verdict,
        note=check.not_judged or check.missing,
    )
    if check.measured is not None and not math.isnan(check.measured.value):
        message.measured = check.measured.value
        if not math.isnan(check.measured.low):
            message.low, message.high = check.measured.low, check.measured.high
    if check.limit is not None:
        message.limit = check.limit
    return message


def _classes(student: Measured) -> Sequence[card_pb2.ClassQuality]:
    whole, operating = student.scores.whole, student.operating
    once = as_they_are(len(student.matches))
    messages = []
    for class_id in whole.class_ids:
        one = operating.of_class(class_id)
        message = card_pb2.ClassQuality(
            class_id=class_id,
            objects=int(one.labels.sum()),
            ap50=float(whole.ap50(class_id)[0]),
            ap50_95=float(whole.ap50_95(class_id)[0]),
        )
        recall, precision = one.recall(once)[0], one.precision(once)[0]
        if not np.isnan(recall):
            message.recall = float(recall)
        if not np.isnan(precision):
            message.precision = float(precision)
        messages.append(message)
    return messages
