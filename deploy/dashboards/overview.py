"""Overview: who answers which cameras, how fast, how rightly; is anything wrong?"""

from collections.abc import Mapping

from deploy.dashboards.asking import ARM, ARM_LEGEND, BY_ARM, by, or_zero, quantile, rate
from deploy.dashboards.board import GROUP, TRAFFIC, Board, Row
from deploy.dashboards.panel import Kind, Panel, Query

_REQUESTS = "understudy_request_seconds"
_OK = f'{ARM},code="ok"'
_FAULTY: Mapping[float, str] = {0.005: "orange", 0.01: "red"}
_ANY: Mapping[float, str] = {1: "orange"}

_NOW = Row(
    "Now",
    (
        Panel(
            "Frames a second",
            "Frames that ended at the chosen arms, answered or not.",
            "reqps",
            (Query(f"sum({rate(f'{_REQUESTS}_count')})"),),
            Kind.NUMBER,
            width=4,
            height=4,
        ),
        Panel(
            "Errors",
            "Share of the frames that failed by no fault of the camera's, over five minutes.",
            "percentunit",
            (
                Query(
                    f"sum(arm:understudy_errors:rate5m{{{ARM}}})"
                    f" / sum(arm:understudy_requests:rate5m{{{ARM}}})"
                ),
            ),
            Kind.NUMBER,
            width=4,
            height=4,
            limits=_FAULTY,
        ),
        Panel(
            "p99",
            "One answer in a hundred takes longer: from the checked frame to its answer.",
            "s",
            (Query(quantile(0.99, _REQUESTS, "", _OK)),),
            Kind.NUMBER,
            width=4,
            height=4,
            limits={0.15: "orange", 0.2: "red"},
        ),
        Panel(
            "Agreement",
            "Mean F1 between what a shadow arm finds and what the camera was answered: 1 is all.",
            "percentunit",
            (Query(f"avg(arm:understudy_agreement_f1:mean_rate5m{{{ARM}}})"),),
            Kind.NUMBER,
            width=4,
            height=4,
        ),
        Panel(
            "Silent cameras",
            "Cameras of which frames are expected and do not come.",
            "short",
            (Query('sum(max by (group) (understudy_silent_cameras{group=~"$group"}))'),),
            Kind.NUMBER,
            width=4,
            height=4,
            limits=_ANY,
        ),
        Panel(
            "Alerts",
            "Alerts that fire now; docs/runbook.md says what to do about each.",
            "short",
            (Query(or_zero('count(ALERTS{alertname=~"Understudy.*",alertstate="firing"})')),),
            Kind.NUMBER,
            width=4,
            height=4,
            limits=_ANY,
        ),
    ),
)

_WHO = Row(
    "Who answers",
    (
        Panel(
            "Answers by version",
            "Answered frames a second, by the arm and version that gave them.",
            "reqps",
            (Query(by(BY_ARM, rate(f"{_REQUESTS}_count", _OK)), ARM_LEGEND),),
            Kind.STACK,
        ),
        Panel(
            "Cameras' share",
            "Share of the cameras that each arm is to answer. All gateways must agree.",
            "percentunit",
            (Query(f"arm:understudy_route_weight:ratio{{{ARM}}}", ARM_LEGEND),),
            Kind.STACK,
            width=6,
            most=1,
        ),
        Panel(
            "Releases",
            "What is loaded or on its way, and where it stands.",
            "short",
            (Query("max by (model, version, state) (understudy_release_state) == 1"),),
            Kind.TABLE,
            width=6,
        ),
    ),
)

_HOW = Row(
    "How well",
    (
        Panel(
            "Latency by arm",
            "Half of the answers are faster than p50, all but one in a hundred faster than p99.",
            "s",
            (
                Query(
                    f"arm:understudy_request_seconds:p50_rate5m{{{ARM}}}",
                    f"p50 {ARM_LEGEND}",
                ),
                Query(
                    f"arm:understudy_request_seconds:p99_rate5m{{{ARM}}}",
                    f"p99 {ARM_LEGEND}",
                ),
                Query("understudy:p99_seconds:target", "target of p99"),
            ),
        ),
        Panel(
            "Answers that are errors, by code",
            "What frames ended in that were not answered; the cameras' own faults are among them.",
            "reqps",
            (Query(by("code", rate(f"{_REQUESTS}_count", f'{ARM},code!="ok"')), "{{code}}"),),
            Kind.STACK,
        ),
        Panel(
            "Frames that were not sent on",
            "Dropped: a newer frame of the stream overtook it. Expired: nobody waited any more.",
            "reqps",
            (
                Query(
                    or_zero(
                        f"""sum({rate("understudy_stream_frames_total", 'outcome="dropped"')})"""
                    ),
                    "dropped",
                ),
                Query(or_zero(f"sum({rate('understudy_expired_frames_total', '')})"), "expired"),
            ),
            width=6,
        ),
        Panel(
            "Handed to the fallback arm",
            "Frames that another arm answered in the place of the chosen one, and those for which "
            "there was no room or budget.",
            "reqps",
            (
                Query(
                    or_zero(f"""sum({rate("understudy_fallbacks_total", 'route=~"$route"')})"""),
                    "handed over",
                ),
                Query(
                    or_zero(
                        f"""sum({rate("understudy_fallbacks_refused_total", 'route=~"$route"')})"""
                    ),
                    "refused",
                ),
            ),
            width=6,
        ),
        Panel(
            "Cameras by group",
            "Cameras of which frames are expected, and those of them that are silent.",
            "short",
            (
                Query(
                    'max by (group) (understudy_expected_cameras{group=~"$group"})',
                    "{{group}} expected",
                ),
                Query(
                    'max by (group) (understudy_silent_cameras{group=~"$group"})',
                    "{{group}} silent",
                ),
            ),
            width=6,
        ),
        Panel(
            "Ways in",
            "Answers a second by the way the frame came in.",
            "reqps",
            (Query(by("api", rate("understudy_answers_total", "")), "{{api}}"),),
            Kind.STACK,
            width=6,
        ),
    ),
)

BOARD = Board(
    "overview",
    "Understudy: Overview",
    "Who answers which cameras, how fast and how rightly; is anything wrong?",
    (*TRAFFIC, GROUP),
    (_NOW, _WHO, _HOW),
)
