"""A rollout's plan as an operator types it; what is not named is the server's to choose."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from serving.commands.durations import seconds_of

Stages = Annotated[
    str | None,
    typer.Option("--stages", help="Weights in percent, rising; 1,5,25,50,100 unless told."),
]
HoldTime = Annotated[
    str | None,
    typer.Option("--hold", help="Least time at a stage: 90s, 15m, 2h or 1d; 5m unless told."),
]
Cameras = Annotated[
    int | None,
    typer.Option("--cameras", min=5, help="Least cameras of the arm at a stage; 5 unless told."),
]
Samples = Annotated[
    int | None,
    typer.Option("--samples", min=1, help="Least frames of the arm at a stage; 1000 unless told."),
]
MaxErrorIncrease = Annotated[
    float | None,
    typer.Option(help="Failed frames above the other arms', as a share; 0.005 unless told."),
]
MaxP99Ratio = Annotated[
    float | None, typer.Option(help="99th percentile over the other arms'; 1.5 unless told.")
]
MinAgreement = Annotated[
    float | None,
    typer.Option(help="Least mean F1 with the other arms, by shadow; 0.8 unless told."),
]
Alpha = Annotated[
    float | None,
    typer.Option(help="How many good rollouts may be rolled back, as a share; 0.05 unless told."),
]
ShadowRate = Annotated[
    float | None,
    typer.Option(
        help="Where the route has no shadow: compare so large a share of the frames meanwhile."
    ),
]


def read_plan(
    route: str,
    arm: str,
    *,
    stages: str | None,
    hold: Mapping[str, Any],
    guardrails: Mapping[str, Any],
    shadow_rate: float | None,
) -> dict[str, Any]:
    """Return the plan as the admin API takes it.

    Raises:
        typer.BadParameter: The stages or the time do not read so.
    """
    body: dict[str, Any] = {"route": route, "arm": arm}
    if stages is not None:
        body["stages"] = _stages(stages)
    if shadow_rate is not None:
        body["shadow_rate"] = shadow_rate
    seconds = hold["seconds"]
    body["hold"] = _named(
        dict(hold) | {"seconds": None if seconds is None else seconds_of(seconds, "--hold")}
    )
    body["guardrails"] = _named(guardrails)
    return body


def _stages(text: str) -> list[float]:
    try:
        return [float(one) for one in text.replace("%", "").split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text}: stages read 10,50,100", param_hint="--stages") from None


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
