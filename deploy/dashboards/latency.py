"""Latency: how long answers take, and where the time goes."""

from deploy.dashboards.asking import (
    ARM,
    ARM_LEGEND,
    BY_ARM,
    RELEASE_LEGEND,
    by,
    mean,
    quantile,
    rate,
    spread,
)
from deploy.dashboards.board import TRAFFIC, Board, Row
from deploy.dashboards.panel import Kind, Panel, Query

_REQUESTS = "understudy_request_seconds"
_OK = f'{ARM},code="ok"'

_WHOLE = Row(
    "The whole request",
    (
        Panel(
            "p50, p90 and p99",
            "Over all chosen arms, from the checked frame to its answer.",
            "s",
            tuple(
                Query(quantile(share, _REQUESTS, "", _OK), f"p{share * 100:g}")
                for share in (0.5, 0.9, 0.99)
            ),
            width=8,
        ),
        Panel(
            "p99 by arm",
            "One answer in a hundred of the arm takes longer.",
            "s",
            (
                Query(quantile(0.99, _REQUESTS, BY_ARM, _OK), ARM_LEGEND),
                Query("understudy:p99_seconds:target", "target"),
            ),
            width=8,
        ),
        Panel(
            "All answers",
            "Answers by how long they took. Two bands are two kinds of work: arms, or image sizes.",
            "s",
            (Query(spread(_REQUESTS, _OK), "{{le}}"),),
            Kind.HEAT,
            width=8,
        ),
    ),
)

_WHERE = Row(
    "Where the time goes",
    (
        Panel(
            "Where the time goes",
            "Mean of each part of an answer. Queue: waiting in the gateway for a place. Wire: "
            "the call to the worker less the worker's own time; batches that form are in it.",
            "s",
            (
                Query(mean("understudy_queue_seconds", "arm"), "{{arm}} queue"),
                Query(
                    f"{mean('understudy_upstream_seconds', 'arm')} - on (arm) "
                    f"sum by (arm) ({mean('understudy_worker_stage_seconds', 'arm, stage')})",
                    "{{arm}} wire",
                ),
                Query(mean("understudy_worker_stage_seconds", "arm, stage"), "{{arm}} {{stage}}"),
            ),
            Kind.STACK,
        ),
        Panel(
            "p99 of the waiting",
            "Waiting in the gateway for a place at a release. Where it grows: more workers.",
            "s",
            (Query(quantile(0.99, "understudy_queue_seconds"), ARM_LEGEND),),
        ),
        Panel(
            "p99 of the worker's stages",
            "A worker's own time by stage; inference is of the whole batch.",
            "s",
            (
                Query(
                    quantile(0.99, "understudy_worker_stage_seconds", "arm, stage"),
                    "{{arm}} {{stage}}",
                ),
            ),
        ),
        Panel(
            "p99 of the call",
            "The whole call to the worker, TorchServe included.",
            "s",
            (Query(quantile(0.99, "understudy_upstream_seconds"), ARM_LEGEND),),
        ),
    ),
)

_LOAD = Row(
    "Load",
    (
        Panel(
            "Frames in flight",
            "Frames that wait for a release or are being answered by it, over all gateways.",
            "short",
            (
                Query(
                    'sum by (model, version) (understudy_in_flight{version=~"$version"})',
                    RELEASE_LEGEND,
                ),
            ),
            width=8,
        ),
        Panel(
            "Batch size",
            "Mean of the frames in the batch that answered: above 1 when frames wait.",
            "short",
            (Query(mean("understudy_worker_batch_size"), ARM_LEGEND),),
            width=8,
        ),
        Panel(
            "TorchServe's queue",
            "Mean waiting inside TorchServe, as it says itself; ours is in front of it.",
            "s",
            (
                Query(
                    f"{by('model_name, model_version', rate('ts_queue_latency_microseconds', ''))}"
                    " / 1e6 / "
                    f"({by('model_name, model_version', rate('ts_inference_requests_total', ''))}"
                    " > 0)",
                    "{{model_name}}-{{model_version}}",
                ),
            ),
            width=8,
        ),
    ),
)

BOARD = Board(
    "latency",
    "Understudy: Latency",
    "How long answers take, and where the time goes.",
    TRAFFIC,
    (_WHOLE, _WHERE, _LOAD),
)
