"""A/B and rollout: how the arms compare, how far the new one is, and what its guardrails see."""

from deploy.dashboards.asking import ARM, ARM_LEGEND, BY_ARM, by, rate
from deploy.dashboards.board import TRAFFIC, Board, Row
from deploy.dashboards.panel import Kind, Panel, Query

_GUARDRAIL = 'route=~"$route",version=~"$version"'
_LOOK_LEGEND = "{{route}}/{{arm}} {{guardrail}}"


def _of_look(name: str, what: str) -> Query:
    labels = "route, arm, guardrail"
    return Query(
        f"max by ({labels}) (understudy_guardrail_{name}{{{_GUARDRAIL}}})",
        f"{_LOOK_LEGEND} {what}".strip(),
    )


_SPLIT = Row(
    "Split",
    (
        Panel(
            "Weights",
            "Share of the cameras that each arm is to answer.",
            "percentunit",
            (Query(f"arm:understudy_route_weight:ratio{{{ARM}}}", ARM_LEGEND),),
            Kind.STACK,
            most=1,
        ),
        Panel(
            "Share of the answers",
            "Share of the answered frames that each arm gave: weights are of cameras, and some "
            "cameras send more.",
            "percentunit",
            (
                Query(
                    f"arm:understudy_requests:rate5m{{{ARM}}} / on (route) group_left () "
                    f"sum by (route) (arm:understudy_requests:rate5m{{{ARM}}} > 0)",
                    ARM_LEGEND,
                ),
            ),
            Kind.STACK,
            most=1,
        ),
        Panel(
            "Route revision",
            "The newest revision that each gateway has applied: they must meet within a second.",
            "none",
            (Query("max by (process) (understudy_route_revision)", "{{process}}"),),
            width=6,
        ),
        Panel(
            "Release states",
            "Where each release stands, over time.",
            "none",
            (
                Query(
                    "max by (model, version, state) (understudy_release_state"
                    '{version=~"$version"}) == 1',
                    "{{model}}-{{version}} {{state}}",
                ),
            ),
            Kind.STATES,
            width=18,
        ),
    ),
)

_SIDE_BY_SIDE = Row(
    "Side by side",
    (
        Panel(
            "Errors by arm",
            "Share of an arm's frames that failed by no fault of the camera's.",
            "percentunit",
            (
                Query(f"arm:understudy_errors:ratio_rate5m{{{ARM}}}", ARM_LEGEND),
                Query("understudy:error_ratio:target", "target"),
            ),
            width=8,
        ),
        Panel(
            "p99 by arm",
            "One answer in a hundred takes longer.",
            "s",
            (Query(f"arm:understudy_request_seconds:p99_rate5m{{{ARM}}}", ARM_LEGEND),),
            width=8,
        ),
        Panel(
            "Detections a frame by arm",
            "Mean over the frames; arms that see the same scenes should lie together.",
            "short",
            (Query(f"arm:understudy_frame_detections:mean_rate5m{{{ARM}}}", ARM_LEGEND),),
            width=8,
        ),
    ),
)

_ROLLOUT = Row(
    "Rollout",
    (
        Panel(
            "Stage",
            "The share that the newest rollout of each route gives its arm.",
            "percentunit",
            (
                Query(
                    f"max by ({BY_ARM}) (understudy_rollout_stage_ratio{{{_GUARDRAIL}}})",
                    ARM_LEGEND,
                ),
            ),
            width=8,
            most=1,
        ),
        Panel(
            "State",
            "Where the newest rollout of each route stands, over time.",
            "none",
            (
                Query(
                    f"max by (route, arm, state) (understudy_rollout_state{{{_GUARDRAIL}}}) == 1",
                    "{{route}}/{{arm}} {{state}}",
                ),
            ),
            Kind.STATES,
            width=8,
        ),
        Panel(
            "Verdicts",
            "1 where the newest look at a guardrail found a breach, which rolls the rollout back.",
            "bool_yes_no",
            (_of_look("breached", ""),),
            Kind.BARS,
            width=8,
            limits={1: "red"},
            most=1,
        ),
        Panel(
            "What the guardrails see, and their limits",
            "errors: share of failed frames above the other arms'. p99: over the other arms'. "
            "agreement: mean F1, whose limit is the least.",
            "none",
            (_of_look("estimate", "seen"), _of_look("limit", "limit")),
            least=None,
        ),
        Panel(
            "How sure",
            "p value of the newest look: how likely a sight as bad is within the limit. A breach "
            "is one below what the look may spend of the rollout's 5%.",
            "percentunit",
            (_of_look("p_value", ""),),
            width=6,
            most=1,
        ),
        Panel(
            "Cameras",
            "Cameras that the newest look went by: they are the unit of every guardrail.",
            "short",
            (_of_look("cameras", ""),),
            width=6,
        ),
    ),
)

_SHADOW = Row(
    "Shadow",
    (
        Panel(
            "Compared frames",
            "Frames that a shadow arm was to answer too: compared, dropped for want of room, "
            "or failed. Dropped ones cost the cameras nothing.",
            "reqps",
            (
                Query(
                    by("route, arm, outcome", rate("understudy_shadow_frames_total")),
                    "{{route}}/{{arm}} {{outcome}}",
                ),
            ),
            Kind.STACK,
        ),
        Panel(
            "Agreement",
            "Mean F1 between a shadow arm and the arm that answered.",
            "percentunit",
            (
                Query(f"arm:understudy_agreement_f1:mean_rate5m{{{ARM}}}", ARM_LEGEND),
                Query("understudy:agreement_f1:target", "least"),
            ),
            most=1,
        ),
    ),
)

BOARD = Board(
    "rollout",
    "Understudy: A/B and rollout",
    "How the arms compare, how far the new one is, and what its guardrails see.",
    TRAFFIC,
    (_SPLIT, _SIDE_BY_SIDE, _ROLLOUT, _SHADOW),
)
