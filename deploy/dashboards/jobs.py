"""Distillation jobs: how trainings go, and what came of them."""

from deploy.dashboards.board import DISTILLATION, Board, Row
from deploy.dashboards.panel import Kind, Panel, Query

_JOB = 'distillation=~"$distillation"'
_LEGEND = "{{distillation}} {{role}}"


def _of(name: str, legend: str = "") -> Query:
    return Query(f"understudy_job_{name}{{{_JOB}}}", f"{_LEGEND} {legend}".strip())


_TRAINING = Row(
    "Training",
    (
        Panel(
            "State",
            "Where each job's newest run stands.",
            "none",
            (Query(f"understudy_job_state{{{_JOB}}} == 1", "{{distillation}} {{state}}"),),
            Kind.STATES,
            width=8,
        ),
        Panel(
            "Epochs",
            "How much of the training is done.",
            "percentunit",
            (Query(f"understudy_job_epoch{{{_JOB}}} / understudy_job_epochs{{{_JOB}}}", _LEGEND),),
            Kind.BARS,
            width=8,
            most=1,
        ),
        Panel(
            "Since the last epoch",
            "A training that ends no epoch any more hangs or was killed.",
            "s",
            (Query(f"time() - understudy_job_progress_timestamp_seconds{{{_JOB}}}", _LEGEND),),
            Kind.NUMBER,
            width=8,
        ),
        Panel(
            "Losses",
            "Mean over an epoch's batches, weights included.",
            "none",
            (_of("loss", "{{loss}}"),),
        ),
        Panel(
            "Validation",
            "On the validation split; the epoch with the best mAP50-95 is kept.",
            "percentunit",
            (_of("validation_ratio", "{{figure}}"),),
            most=1,
        ),
        Panel(
            "Weight of the teacher",
            "How much the teacher counts beside the labels in the epoch.",
            "percentunit",
            (_of("teacher_weight_ratio"),),
            width=8,
        ),
        Panel(
            "Learning rate",
            "Of the first parameter group.",
            "none",
            (_of("learning_rate"),),
            width=8,
        ),
        Panel(
            "Time trained",
            "Training and validation so far, resumed parts included.",
            "s",
            (_of("training_seconds"),),
            Kind.NUMBER,
            width=8,
        ),
    ),
)

_OUTCOME = Row(
    "What came of it",
    (
        Panel(
            "Held-out quality",
            "Of the newest run that ended well, on the split that nothing was chosen by.",
            "percentunit",
            (_of("held_out_ratio", "{{figure}}"),),
            Kind.BARS,
            width=8,
            most=1,
        ),
        Panel(
            "Variants: quality",
            "mAP50-95 of each runtime and precision of the archive on the held-out split.",
            "percentunit",
            (_of("variant_map50_95_ratio", "{{variant}}"),),
            Kind.BARS,
            width=8,
            most=1,
        ),
        Panel(
            "Variants: latency",
            "Median of one image, the model alone, where the archive was built; a server measures "
            "anew.",
            "s",
            (_of("variant_p50_seconds", "{{variant}}"),),
            Kind.BARS,
            width=8,
        ),
        Panel("Parameters", "Of each model.", "short", (_of("parameters"),), Kind.BARS, width=8),
        Panel(
            "Archive",
            "Size of each archive; 0: none.",
            "bytes",
            (_of("archive_bytes"),),
            Kind.BARS,
            width=8,
        ),
        Panel(
            "Since the last success",
            "How long ago a run of the job last ended well.",
            "s",
            (
                Query(
                    f"time() - understudy_job_succeeded_timestamp_seconds{{{_JOB}}}",
                    "{{distillation}}",
                ),
            ),
            Kind.NUMBER,
            width=8,
        ),
    ),
)

BOARD = Board(
    "jobs",
    "Understudy: Distillation jobs",
    "How trainings go, and what came of them; jobs push it where UNDERSTUDY_PUSHGATEWAY is set.",
    (DISTILLATION,),
    (_TRAINING, _OUTCOME),
    shows_changes=False,
)
