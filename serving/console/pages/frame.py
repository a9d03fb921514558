"""What is around every page: the way to the others, who is signed in, and the way out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from nicegui import ui

from serving.console.fragments import fragment
from serving.console.operator import Operator
from serving.errors import Unauthenticated
from serving.store.values import Scope


class Place(NamedTuple):
    """An entry of the navigation."""

    path: str
    title: str


PLACES = (
    Place("/", "Live"),
    Place("/releases", "Releases"),
    Place("/rollouts", "Rollouts"),
    Place("/compare", "Compare"),
    Place("/audit", "Audit"),
)


@contextmanager
def framed(operator: Operator, path: str, root: str) -> Iterator[None]:
    """Draw the frame; what is drawn within the block is the page's content.

    Args:
        operator: Who looks.
        path: The page's, below the console's own.
        root: Path at which the console is mounted.
    """
    ui.colors(primary="#3355cc", positive="#1a7f4b", negative="#c22f2f", warning="#9a6700")
    ui.add_head_html(f"<style>{fragment('style')}</style>")
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
        yield
    ui.html(fragment("footer", root=root), sanitize=False)
    _leave_when_signed_out(operator)


def _leave_when_signed_out(operator: Operator) -> None:
    """Go to the sign-in as soon as the session is over: what a page shows must not outlive it."""

    async def look() -> None:
        try:
            await operator.look()
        except Unauthenticated:
            # NiceGUI puts the console's own path before it.
            ui.navigate.to("/sign-in?said=ended")

    ui.timer(2.0, look)
