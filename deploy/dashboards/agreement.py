"""Student against teacher: how far two arms see the same, by class, and what drifts."""

from deploy.dashboards.asking import (
    ARM,
    ARM_LEGEND,
    BY_ARM,
    by,
    mean,
    or_zero,
    quantile,
    rate,
    spread,
)
from deploy.dashboards.board import TRAFFIC, Board, Row
from deploy.dashboards.panel import Kind, Panel, Query

_PAIR = f"{BY_ARM}, primary_model, primary_version"
_PAIR_LEGEND = f"{ARM_LEGEND} against {{{{primary_model}}}}-{{{{primary_version}}}}"
_SIDES = "understudy_agreement_class_detections_total"
_BY_CLASS = "arm, class"
_NONE = f'{ARM},le="0.0"'
_CLASS_LEGEND = "{{arm}} {{class}}"


def _side(name: str) -> str:
    return by(_BY_CLASS, rate(_SIDES, f'{ARM},side="{name}"'))


_COMPARED = f"on (arm) group_left () ({by('arm', rate('understudy_agreement_f1_count'))} > 0)"

_AGREE = Row(
    "How far they agree",
    (
        Panel(
            "Agreement",
            "Mean F1 between what the shadow arm finds and what the camera was answered.",
            "percentunit",
            (
                Query(mean("understudy_agreement_f1", _PAIR), _PAIR_LEGEND),
                Query("understudy:agreement_f1:target", "least"),
            ),
            width=8,
            most=1,
        ),
        Panel(
            "Overlap",
            "Mean IoU of the boxes that both find: how well the shadow arm places them.",
            "percentunit",
            (Query(mean("understudy_agreement_iou", _PAIR), _PAIR_LEGEND),),
            width=8,
            most=1,
        ),
        Panel(
            "Difference in number",
            "Mean of how many more boxes one of the two finds on a frame.",
            "short",
            (Query(mean("understudy_agreement_count_difference", _PAIR), _PAIR_LEGEND),),
            width=8,
        ),
        Panel(
            "Frames by F1",
            "How the frames spread: a band at 0 are frames on which they see nothing alike.",
            "percentunit",
            (Query(spread("understudy_agreement_f1"), "{{le}}"),),
            Kind.HEAT,
        ),
        Panel(
            "Worst frames",
            "One compared frame in ten agrees by less than this F1.",
            "percentunit",
            (Query(quantile(0.1, "understudy_agreement_f1"), ARM_LEGEND),),
            width=6,
            most=1,
        ),
        Panel(
            "Compared and harvested",
            "Compared frames, and those on which the arms disagreed by what became of them.",
            "reqps",
            (
                Query(f"sum({rate('understudy_agreement_f1_count')})", "compared"),
                Query(
                    or_zero(by("outcome", rate("understudy_harvest_frames_total", ""))),
                    "harvest: {{outcome}}",
                ),
            ),
            width=6,
        ),
    ),
)

_CLASSES = Row(
    "By class",
    (
        Panel(
            "F1 by class",
            "Of the detections on compared frames: twice the pairs over what both found. Low for "
            "one class: the student lacks examples of it.",
            "percentunit",
            (
                Query(
                    f"2 * {_side('matched')} / ({_side('primary')} + {_side('shadow')} > 0)",
                    _CLASS_LEGEND,
                ),
            ),
            width=8,
            most=1,
        ),
        Panel(
            "Difference in number by class",
            "Mean of how many more boxes of the class one of the two finds on a compared frame.",
            "short",
            (
                Query(
                    f"{by(_BY_CLASS, rate('understudy_agreement_class_difference_total'))}"
                    f" / {_COMPARED}",
                    _CLASS_LEGEND,
                ),
            ),
            width=8,
        ),
        Panel(
            "Found by one alone",
            "Share of a class's detections that the other arm did not find: missed are the "
            "answering arm's, invented the shadow's.",
            "percentunit",
            (
                Query(
                    f"1 - {_side('matched')} / ({_side('primary')} > 0)",
                    f"{_CLASS_LEGEND} missed",
                ),
                Query(
                    f"1 - {_side('matched')} / ({_side('shadow')} > 0)",
                    f"{_CLASS_LEGEND} invented",
                ),
            ),
            width=8,
            most=1,
        ),
    ),
)

_DRIFT = Row(
    "Drift",
    (
        Panel(
            "Detections a frame",
            "Mean over an arm's frames that asked for no thresholds of their own. A level that "
            "moves is a scene, a lens or a model that changed.",
            "short",
            (Query(mean("understudy_frame_detections"), ARM_LEGEND),),
            width=8,
        ),
        Panel(
            "Detections by class",
            "Detections a second by class.",
            "cps",
            (Query(by("arm, class", rate("understudy_detections_total")), "{{arm}} {{class}}"),),
            Kind.STACK,
            width=8,
        ),
        Panel(
            "Frames without a detection",
            "Share of an arm's frames on which it found nothing.",
            "percentunit",
            (
                Query(
                    f"{by(BY_ARM, rate('understudy_frame_detections_bucket', _NONE))}"
                    f" / ({by(BY_ARM, rate('understudy_frame_detections_count'))} > 0)",
                    ARM_LEGEND,
                ),
            ),
            width=8,
            most=1,
        ),
        Panel(
            "Scores",
            "Detections by score. A band that sinks: the model is less sure of what it sees.",
            "percentunit",
            (Query(spread("understudy_detection_score"), "{{le}}"),),
            Kind.HEAT,
        ),
        Panel(
            "Mean score",
            "Mean over an arm's detections.",
            "percentunit",
            (Query(mean("understudy_detection_score"), ARM_LEGEND),),
            most=1,
        ),
    ),
)

BOARD = Board(
    "agreement",
    "Understudy: Student against teacher",
    "How far two arms see the same, by class, and what drifts.",
    TRAFFIC,
    (_AGREE, _CLASSES, _DRIFT),
)
