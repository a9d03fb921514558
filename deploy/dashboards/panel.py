"""One panel: what it asks, how it is drawn, and what it says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef("prometheus", "${datasource}")
_HIDDEN_COLUMNS = ("Time", "__name__", "Value", "instance", "job", "process")


class Kind(StrEnum):
    """How a panel is drawn."""

    LINES = "lines"
    STACK = "stack"
    NUMBER = "number"
    BARS = "bars"
    HEAT = "heat"
    STATES = "states"
    TABLE = "table"


@dataclass(frozen=True)
class Query:
    """What is asked of Prometheus.

    Attributes:
        expression: PromQL; $route and the like are the board's variables.
        legend: Of each series; {{label}} is replaced.
    """

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: A few words.
        description: What it shows and what to make of it.
        unit: Grafana's: "s", "percentunit", "reqps", "bytes", "short"...
        queries: At least one.
        kind: How it is drawn.
        width: In 24ths of the board.
        height: In Grafana's rows.
        limits: From which value on a number or bar has which colour; green below all.
        least: Lower end of the axis; None: as low as it goes.
        most: Upper end of the axis; None: as high as it goes.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = Kind.LINES
    width: int = 12
    height: int = 8
    limits: Mapping[float, str] | None = None
    least: float | None = 0
    most: float | None = None


def built(panel: Panel) -> Any:
    """Return the SDK's builder of a panel."""
    one = _BUILDERS[panel.kind]()
    one.title(panel.title).description(panel.description).unit(panel.unit).datasource(SOURCE)
    one.span(panel.width).height(panel.height)
    for number, query in enumerate(panel.queries):
        one.with_target(_target(query, panel.kind, chr(ord("A") + number)))
    one.thresholds(_thresholds(panel.limits or {}))
    if panel.least is not None and panel.kind is not Kind.HEAT:
        one.min(panel.least)
    if panel.most is not None:
        one.max(panel.most)
    return one


def _target(query: Query, kind: Kind, ref_id: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expression).ref_id(ref_id).datasource(SOURCE)
    target.legend_format(query.legend or "__auto")
    if kind is Kind.HEAT:
        return target.range().format(PromQueryFormat.HEATMAP)
    if kind is Kind.TABLE:
        return target.instant().format(PromQueryFormat.TABLE)
    return target.instant() if kind is Kind.BARS else target.range()


def _thresholds(limits: Mapping[float, str]) -> dashboards.ThresholdsConfig:
    steps = [Threshold(None, "green")]
    steps += [Threshold(value, colour) for value, colour in sorted(limits.items())]
    return dashboards.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().display_mode(looks.LegendDisplayMode.LIST)
    return legend.placement(looks.LegendPlacement.BOTTOM).show_legend(True)


def _lines() -> timeseries.Panel:
    tooltip = common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI)
    one = timeseries.Panel().legend(_legend()).line_width(2).fill_opacity(8)
    return one.tooltip(tooltip.sort(looks.SortOrder.DESCENDING)).span_nulls(False)


def _stack() -> timeseries.Panel:
    stacking = common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A")
    return _lines().stacking(stacking).fill_opacity(40).line_width(1)


def _number() -> stat.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    one = stat.Panel().reduce_options(last).graph_mode(looks.BigValueGraphMode.AREA)
    return one.color_mode(looks.BigValueColorMode.VALUE)


def _bars() -> bargauge.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    one = bargauge.Panel().reduce_options(last).orientation(looks.VizOrientation.HORIZONTAL)
    return one.display_mode(looks.BarGaugeDisplayMode.BASIC)


def _table() -> table.Panel:
    hidden = {"excludeByName": dict.fromkeys(_HIDDEN_COLUMNS, True)}
    return table.Panel().with_transformation(DataTransformerConfig("organize", options=hidden))


_BUILDERS: Mapping[Kind, Callable[[], Any]] = {
    Kind.LINES: _lines,
    Kind.STACK: _stack,
    Kind.NUMBER: _number,
    Kind.BARS: _bars,
    Kind.HEAT: heatmap.Panel,
    Kind.STATES: statetimeline.Panel,
    Kind.TABLE: _table,
}
