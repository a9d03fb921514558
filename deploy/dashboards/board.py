"""One dashboard: its rows of panels, and the variables that choose what they show."""

import json
from dataclasses import dataclass
from itertools import count

from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.dashboards.panel import SOURCE, Panel, built

_TAG = "understudy"


@dataclass(frozen=True)
class Variable:
    """A choice at the head of a board: all values, unless some are chosen.

    Attributes:
        name: As queries say it, without the $.
        query: Returns its values.
    """

    name: str
    query: str


ROUTE = Variable("route", "label_values(understudy_route_weight_ratio, route)")
ARM = Variable("arm", 'label_values(understudy_route_weight_ratio{route=~"$route"}, arm)')
VERSION = Variable(
    "version",
    'label_values(understudy_route_weight_ratio{route=~"$route",arm=~"$arm"}, version)',
)
GROUP = Variable("group", "label_values(understudy_cameras, group)")
DISTILLATION = Variable("distillation", "label_values(understudy_job_state, distillation)")
TRAFFIC = (ROUTE, ARM, VERSION)

# A line in every graph where the routes were changed: Grafana asks for annotations by the minute.
ROUTE_CHANGED = "max(changes(understudy_route_revision[1m])) > 0"


@dataclass(frozen=True)
class Row:
    """Panels below one heading; the widths of each line sum to 24."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """One dashboard.

    Attributes:
        name: Of its file, and of its address in Grafana.
        title: For people.
        description: What it answers.
        variables: Beside the data source.
        rows: From top to bottom.
        shows_changes: Whether changes of the routes are marked in its graphs.
    """

    name: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    shows_changes: bool = True

    def json(self) -> str:
        """Return the dashboard as Grafana reads it."""
        one = dashboards.Dashboard(self.title).uid(f"understudy-{self.name}").tags([_TAG])
        one.description(self.description).time("now-1h", "now").refresh("15s").timezone("browser")
        one.tooltip(DashboardCursorSync.CROSSHAIR).readonly().link(_link())
        one.with_variable(dashboards.DatasourceVariable("datasource").type("prometheus"))
        for variable in self.variables:
            one.with_variable(_variable(variable))
        if self.shows_changes:
            changed = dashboards.AnnotationQuery().name("Route changed").datasource(SOURCE)
            one.annotation(changed.enable(True).icon_color("blue").expr(ROUTE_CHANGED))
        ids = count(1)
        for row in self.rows:
            one.with_row(dashboards.Row(row.title).id(next(ids)))
            for panel in row.panels:
                one.with_panel(built(panel).id(next(ids)))
        text = json.dumps(one.build(), cls=JSONEncoder, indent=2, sort_keys=True)
        return f"{text}\n"


def _variable(variable: Variable) -> dashboards.QueryVariable:
    everything = VariableOption(selected=True, text="All", value="$__all")
    one = dashboards.QueryVariable(variable.name).query(variable.query).datasource(SOURCE)
    one.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    return one.multi(True).include_all(True).all_value(".*").current(everything)


def _link() -> dashboards.DashboardLink:
    link = dashboards.DashboardLink("Understudy").type(DashboardLinkType.DASHBOARDS).tags([_TAG])
    return link.as_dropdown(True).include_vars(True).keep_time(True)
