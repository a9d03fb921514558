"""What pages show, as HTML from the templates beside this file; every value in it is escaped."""

from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from serving import words


def fragment(name: str, **values: Any) -> str:
    """Return a part of a page.

    Args:
        name: Of its template.
        values: For it.
    """
    return _templates().get_template(f"{name}.html.j2").render(values)


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("serving.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(
        ms=words.milliseconds,
        percent=words.percent,
        weight=words.weight,
        rate=words.rate,
        size=words.size,
        ago=_ago,
        clock=_clock,
    )
    return templates


def _clock(at: datetime) -> str:
    """Return a time in UTC to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _ago(at: datetime) -> Markup:
    """Return a time that the page itself turns into how long ago it was, and keeps so."""
    iso, clock = at.isoformat(), f"{_clock(at)} UTC"
    return Markup('<time data-ago datetime="{}" title="{}">{}</time>').format(iso, clock, clock)
