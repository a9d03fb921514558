"""What is around every page: the way to the others, who is signed in, and the way out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from nicegui import ui

from serving.console.fragments import fragment
from serving.console.operator import Operator
from serving.console.pages.visit import Visit
from serving.store.values import Scope


class Place(NamedTuple):
    """An entry of the navigation."""

    path: str
    title: str


PLACES = (
    Place("/", "Live"),
    Place("/cameras", "Cameras"),
    Place("/releases", "Releases"),
    Place("/rollouts", "Rollouts"),
    Place("/compare", "Compare"),
    Place("/audit", "Audit"),
)


@contextmanager
def framed(operator: Operator, path: str, root: str) -> Iterator[Visit]:
    """Draw the frame; what is drawn within the block is the page's content.

    Args:
        operator: Who looks.
        path: The page's, below the console's own.
        root: Path at which the console is mounted.
    """
    ui.colors(primary="#3355cc", positive="#1a7f4b", negative="#c22f2f", warning="#9a6700")
    ui.add_head_html(fragment("head", root=root, now_ms=round(1000 * time.time())))
    ui.html(
        fragment(
            "header",
            root=root,
            places=PLACES,
            here=path,
            key=operator.key,
            signs_out=operator.services.authenticator.enabled,
            reads_only=not operator.may(Scope.OPERATE),
        ),
        sanitize=False,
    )
    # Quasar's own page is the document's main part already.
    with ui.element("div").props("id=main tabindex=-1").classes("page"):
        visit = Visit(operator, root)
        with visit.content:
            yield visit
    ui.html(fragment("footer", root=root), sanitize=False)
