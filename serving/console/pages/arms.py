"""The dialog that changes which releases a route's arms have, or makes a route."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from nicegui import ui
from pydantic import ValidationError

from serving.api.admin_models import RouteRequest
from serving.console.moves import sentences
from serving.console.operator import Operator
from serving.console.pages.action import ActionDialog
from serving.console.pages.fields import complaint_of
from serving.controlplane.releases import LOADED
from serving.errors import InvalidRoute
from serving.store.values import Release, Route, RouteRevision

_NONE = ""


@dataclass
class _Row:
    """One arm, as it is typed; whatever it is called, shadow and fallback know it by its id."""

    name: str
    release: str | None
    weight: float | None
    id: str = field(default_factory=lambda: secrets.token_hex(4))


class ArmsDialog:
    """Asks for arms, shadow and fallback, and tells what changes.

    Args:
        operator: Who changes the route.
        present: The route as it stands; None: a new one is made.
        cameras: Those that send frames to it now.
        releases: All of them; the loaded ones are offered.
    """

    def __init__(
        self,
        operator: Operator,
        present: RouteRevision | None,
        cameras: list[str],
        releases: list[Release],
    ) -> None:
        self._operator = operator
        self._present = present
        self._cameras = cameras
        self._loaded = [str(one.key) for one in releases if one.state in LOADED]
        self._rows = _rows(present, self._loaded)
        title = f"Change route “{present.route.name}”" if present else "Make a route"
        verb = "Change route" if present else "Make route"
        self._dialog = ActionDialog(title, verb, self._set)
        with self._dialog.fields:
            self._name = None
            if present is None:
                self._name = ui.input("Route's name", value="default", on_change=self._tell)
                self._name.props("outlined dense")
            self._list = ui.element("div").classes("arm-rows")
            ui.button("Add an arm", on_click=self._add).props("flat no-caps").classes("add")
            self._beside(present.route if present else None)
        self._draw()
        self._tell()

    def open(self) -> None:
        """Show it."""
        self._dialog.open()

    def _beside(self, route: Route | None) -> None:
        shadow, fallback = (route.shadow, route.fallback) if route else (None, None)
        with ui.element("div").classes("pair"):
            self._shadow = self._arm_of("Shadow: answers others' frames too", shadow)
            self._rate = self._share("Share of the frames", shadow.rate if shadow else 0.1)
        with ui.element("div").classes("pair"):
            self._fallback = self._arm_of("Fallback: stands in for one that fails", fallback)
            self._budget = self._share("Most of the requests", fallback.budget if fallback else 0.2)

    def _arm_of(self, label: str, part: Any) -> ui.select:
        chosen = [row.id for row in self._rows if part and row.name == part.arm]
        return ui.select(
            self._names(), value=[*chosen, _NONE][0], label=label, on_change=self._tell
        ).props("outlined dense")

    def _share(self, label: str, share: float) -> ui.number:
        value = round(100 * share, 2)
        return ui.number(
            label, value=value, min=0, max=100, suffix="%", on_change=self._tell
        ).props("outlined dense")

    def _names(self) -> dict[str, str]:
        return {_NONE: "none"} | {row.id: row.name or "the new arm" for row in self._rows}

    def _draw(self) -> None:
        self._list.clear()
        with self._list:
            for row in self._rows:
                self._draw_row(row)

    def _draw_row(self, row: _Row) -> None:
        def named(event: Any) -> None:
            row.name = str(event.value or "").strip()
            label()
            self._tell()

        def released(event: Any) -> None:
            row.release = event.value
            self._tell()

        def weighed(event: Any) -> None:
            row.weight = event.value
            self._tell()

        def label() -> None:
            # Not as text that is parsed: whatever is typed is only a name.
            group.props["aria-label"] = f"Arm {row.name or 'to add'}"
            remove.props["aria-label"] = f"Remove arm {row.name}".strip()

        with ui.element("div").classes("arm-row").props("role=group") as group:
            ui.input("Arm", value=row.name, on_change=named).props("outlined dense")
            ui.select(self._loaded, value=row.release, label="Release", on_change=released).props(
                "outlined dense"
            )
            ui.number(
                "Weight", value=row.weight, min=0, max=100, suffix="%", on_change=weighed
            ).props("outlined dense")
            remove = ui.button(icon="close", on_click=lambda: self._remove(row))
            remove.props("flat dense round")
        label()

    def _add(self) -> None:
        self._rows.append(_Row("", None, 0.0))
        self._draw()
        self._tell()

    def _remove(self, row: _Row) -> None:
        self._rows.remove(row)
        self._draw()
        self._tell()

    def _tell(self) -> None:
        names = self._names()
        for one in (self._shadow, self._fallback):
            if one.options != names:
                one.set_options(names, value=one.value if one.value in names else _NONE)
        try:
            wanted = self._wanted()
        except InvalidRoute as error:
            self._dialog.refuse(error.message)
            return
        except ValidationError as error:
            self._dialog.refuse(complaint_of(error, [row.name for row in self._rows]))
            return
        before = self._present.route if self._present else None
        pick = self._operator.services.pick
        self._dialog.tell(sentences(before, wanted, self._cameras, pick))

    def _wanted(self) -> Route:
        """Return the route as it is typed.

        Raises:
            ValidationError: A field is missing.
            InvalidRoute: It breaks a rule.
        """
        present = self._present.route if self._present else None
        request = RouteRequest.model_validate(
            {
                "arms": [_arm(row) for row in self._rows],
                "sticky": present.sticky if present else "camera",
                "timeout_s": present.timeout_s if present else 10.0,
                "shadow": self._part(self._shadow, "rate", self._rate),
                "fallback": self._part(self._fallback, "budget", self._budget),
            }
        )
        name = str(self._name.value or "") if self._name else ""
        return request.route(present.name if present else name)

    def _part(self, arm: ui.select, share_name: str, share: ui.number) -> dict[str, Any] | None:
        if not arm.value:
            return None
        (name,) = (row.name for row in self._rows if row.id == arm.value)
        return {"arm": name, share_name: (share.value or 0) / 100}

    async def _set(self) -> str:
        revision = self._present.revision if self._present else 0
        wanted = self._wanted()
        return str(
            await self._operator.set_route(wanted, why=self._dialog.why, expected_revision=revision)
        )


def _arm(row: _Row) -> dict[str, Any]:
    return {"name": row.name, "release": row.release, "weight": row.weight}


def _rows(present: RouteRevision | None, loaded: list[str]) -> list[_Row]:
    if present is not None:
        return [_Row(arm.name, str(arm.release), arm.weight) for arm in present.route.arms]
    first = loaded[0] if loaded else None
    return [_Row(first.rpartition("-")[0] if first else "", first, 100.0)]
