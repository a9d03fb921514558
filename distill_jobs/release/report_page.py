"""A release's report as a page: the gate, the classes and sizes, the thresholds, the variants."""

import math
from collections.abc import Callable, Sequence

from distill_jobs.release.bootstrap import Bounded, as_they_are
from distill_jobs.release.checks import Check
from distill_jobs.release.evaluate import Quality
from distill_jobs.release.evidence import Measured
from distill_jobs.release.report_plots import CLASSES, RELIABILITY, SIZES
from distill_jobs.release.sizes import AREAS_PX
from distill_jobs.release.thresholds import ClassThreshold, Point
from distill_jobs.release.told import Told
from distill_jobs.tracking.page import Page, PagePicture, PageSection, PageTable, Tile


def page_of(told: Told, plots: dict[str, PagePicture]) -> Page:
    """Put a report together."""
    return Page(
        title=told.request.key,
        subtitle=f"Release of a {told.request.role}; {_measured_on(told)}",
        tiles=_tiles(told),
        sections=[
            *_gate_section(told),
            *_quality_sections(told, plots),
            _thresholds_section(told, plots),
            _variants_section(told),
        ],
        refusal_head="The gate refuses it." if told.failed else "",
        refusal=" ".join(f"{one.complaint}." for one in told.failed),
    )


def _measured_on(told: Told) -> str:
    images = len(told.request.image_files)
    if told.quality is None:
        return f"checked on {images} images without labels: its quality is unmeasured"
    data = f"{told.request.data} " if told.request.data else ""
    return f"measured on the {images} images of {data}{told.request.split}".rstrip()


def _tiles(told: Told) -> list[Tile]:
    tiles = []
    if told.quality is not None:
        tiles += [
            Tile("mAP50-95", f"{told.quality.map50_95:.3f}"),
            Tile("mAP50", f"{told.quality.map50:.3f}"),
        ]
    wanted = {"min_retention_map50_95": "of the teacher's mAP50-95", "min_agreement_f1": "agree"}
    tiles += [
        Tile(wanted[one.rule], one.shown(one.measured.value))
        for one in told.findings.checks
        if one.rule in wanted and one.measured is not None
    ]
    if told.variants:
        default = told.variants[0]
        tiles.append(Tile(default.name, f"{default.latency.p50_ms:.1f} ms"))
    return tiles


def _gate_section(told: Told) -> list[PageSection]:
    checks = told.findings.checks
    if not checks:
        return []
    heads = ("figure", "made of", "measured", "lower bound", "upper bound", "limit", "verdict")
    order = {"refused": 0, "not judged": 1, "passed": 2, "reported": 3}
    rows = [_check_row(one) for one in sorted(checks, key=lambda one: order[one.verdict])]
    judged = "the bound" if told.request.gate.confidence else "the figure itself"
    note = (
        f"Bounds are {told.bounds_text} of a paired bootstrap over images "
        f"({told.request.gate.resamples} resamples); {judged} is held against the limit."
    )
    if told.live:
        note += f" Live model: {told.live}."
    return [PageSection("Gate", note=note, tables=[PageTable(heads, rows)])]


def _check_row(check: Check) -> tuple[str, ...]:
    measured = check.measured
    limit = "-"
    if check.limit is not None:
        limit = f"{'≥' if check.is_floor else '≤'} {check.shown(check.limit)}"
    figure = f"{check.what}: {check.subject}" if check.subject else check.what
    bounds = (measured.value, measured.low, measured.high) if measured else (None,) * 3
    return (figure, check.detail, *(check.shown(one) for one in bounds), limit, check.verdict_text)


def _quality_sections(told: Told, plots: dict[str, PagePicture]) -> list[PageSection]:
    student, teacher = told.findings.evidence.student, told.findings.evidence.teacher
    if student is None:
        return []
    classes = [_class_row(told, student, class_id) for class_id in student.scores.whole.class_ids]
    heads = ("class", "objects", "AP50", "AP50-95", "recall", "precision")
    sizes = [
        (size, str(student.objects_by_size[size]), *_size_cells(student, size))
        + (_size_cells(teacher, size) if teacher else ("-", "-"))
        for size in AREAS_PX
    ]
    size_heads = ("size", "objects", "mAP50", "mAP50-95", "teacher's mAP50", "teacher's mAP50-95")
    return [
        PageSection(
            "Classes",
            note="Recall and precision at the operating threshold, IoU 0.5.",
            tables=[PageTable(heads, classes)],
            pictures=_pictures(plots, CLASSES),
        ),
        PageSection(
            "Object sizes",
            note="By area in the original image, as COCO does: small below 32², medium below 96², "
            "large from there.",
            tables=[PageTable(size_heads, sizes)],
            pictures=_pictures(plots, SIZES),
        ),
    ]


def _class_row(told: Told, student: Measured, class_id: int) -> tuple[str, ...]:
    evidence = told.findings.evidence
    name = evidence.held.class_names[class_id] if evidence.held else str(class_id)
    one, whole = student.operating.of_class(class_id), student.scores.whole
    once = as_they_are(len(student.matches))
    return (
        name,
        str(int(one.labels.sum())),
        _share(whole.ap50(class_id)[0]),
        _share(whole.ap50_95(class_id)[0]),
        _share(one.recall(once)[0]),
        _share(one.precision(once)[0]),
    )


def _size_cells(measured: Measured, size: str) -> tuple[str, str]:
    if not measured.objects_by_size[size]:
        return "-", "-"
    whole = measured.by_size[size].whole
    return _share(whole.map50[0]), _share(whole.map50_95[0])


def _thresholds_section(told: Told, plots: dict[str, PagePicture]) -> PageSection:
    heads = ("class", "threshold", "matched", "labels", "precision", "detections", "note")
    rows = [_threshold_row(one) for one in told.findings.thresholds]
    note = "Chosen on the validation split; in brackets the teacher at its own threshold."
    calibration = told.findings.calibration
    if calibration is not None:
        note += (
            f" Calibration error (D-ECE) on the held-out images {calibration.error:.3f}, over "
            f"{calibration.detections} detections."
        )
    return PageSection(
        "Operating thresholds",
        note=note,
        tables=[PageTable(heads, rows)],
        pictures=_pictures(plots, RELIABILITY),
    )


def _threshold_row(chosen: ClassThreshold) -> tuple[str, ...]:
    def both(value: Callable[[Point], str]) -> str:
        if chosen.student is None or chosen.teacher is None:
            return "-"
        return f"{value(chosen.student)} ({value(chosen.teacher)})"

    return (
        chosen.name,
        f"{chosen.threshold:.3f}",
        chosen.matched,
        str(chosen.instances) if chosen.student else "-",
        both(lambda point: "-" if point.precision is None else f"{point.precision:.3f}"),
        both(lambda point: str(point.detections)),
        chosen.note,
    )


def _variants_section(told: Told) -> PageSection:
    heads = ("variant", "MB", "mAP50", "mAP50-95", "lost", "matched F1", "p50 ms", "p99 ms")
    rows = [
        (
            one.name,
            f"{one.file_bytes / 1e6:.2f}",
            *_scores(one.quality),
            _range(one.drop_map50_95, 100, " points"),
            _range(one.f1, 1, ""),
            f"{one.latency.p50_ms:.1f}",
            f"{one.latency.p99_ms:.1f}",
        )
        for one in told.variants
    ]
    checkpoint = ("PyTorch", "-", *_scores(told.in_pytorch), *("-",) * 4)
    tables = [PageTable(heads, [*rows, checkpoint])]
    if told.left_out:
        tables.append(PageTable(("left out", "why"), list(told.left_out.items())))
    note = (
        "The first is the default: it serves, and the gate judges its answers. The last is the "
        "checkpoint itself in FP32. Lost: mAP50-95 against that, with its bounds."
    )
    return PageSection("Variants", note=note, tables=tables)


def _scores(quality: Quality | None) -> tuple[str, str]:
    if quality is None:
        return "-", "-"
    return _share(quality.map50), _share(quality.map50_95)


def _pictures(plots: dict[str, PagePicture], file: str) -> Sequence[PagePicture]:
    return (plots[file],) if file in plots else ()


def _share(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _range(bounded: Bounded | None, scale: float, unit: str) -> str:
    if bounded is None:
        return "-"
    low, value, high = (scale * one for one in (bounded.low, bounded.value, bounded.high))
    digits = 2 if scale > 1 else 3
    return f"{value:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"
