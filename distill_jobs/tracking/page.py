"""A page for a browser: one file, no script, nothing fetched, light and dark."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from pathlib import Path

import jinja2
from markupsafe import Markup

from distill_jobs.files import write_atomically
from distill_jobs.tracking.chart import Series, line_chart

# As many colours as the style sheet has.
_MOST_LINES = 6


@dataclass(frozen=True)
class Tile:
    """A figure to be seen first."""

    name: str
    value: str


@dataclass(frozen=True)
class PageTable:
    """A table; the first column is text, the others are figures."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class PageChart:
    """A drawn chart with its legend.

    Attributes:
        title: Above it.
        svg: The drawing.
        names: Of its lines, in the order of their colours.
    """

    title: str
    svg: Markup
    names: Sequence[str]


@dataclass(frozen=True)
class PagePicture:
    """A picture inside the page.

    Attributes:
        uri: `data:` and the picture itself.
        caption: Under it.
    """

    uri: str
    caption: str


@dataclass(frozen=True)
class PageSection:
    """A heading and what follows it.

    Attributes:
        title: The heading.
        note: A paragraph under it.
        links: Files to go to, as paths from the page's folder.
        tables: In their order.
        charts: Beside each other.
        pictures: Likewise.
        summary: What `text` is folded under.
        text: As it is.
    """

    title: str
    note: str = ""
    links: Sequence[str] = ()
    tables: Sequence[PageTable] = ()
    charts: Sequence[PageChart] = ()
    pictures: Sequence[PagePicture] = ()
    summary: str = ""
    text: str = ""


@dataclass(frozen=True)
class Page:
    """What a page says.

    Attributes:
        title: Its heading.
        subtitle: A line under it.
        tiles: Figures to be seen first.
        sections: The rest.
        refusal_head: Bold words before `refusal`.
        refusal: What went wrong, or "".
    """

    title: str
    subtitle: str
    tiles: Sequence[Tile] = ()
    sections: Sequence[PageSection] = field(default_factory=list)
    refusal_head: str = ""
    refusal: str = ""


def chart_of(title: str, series: Sequence[Series], *, x_label: str = "epoch") -> PageChart:
    """Draw a chart; lines past the sixth are left out, since no colour would tell them apart."""
    shown = series[:_MOST_LINES]
    # The drawing escapes what it is given.
    svg = Markup(line_chart(title, shown, x_label=x_label))  # noqa: S704
    return PageChart(title, svg, [one.name for one in shown])


def embedded(picture: Path, caption: str) -> PagePicture:
    """Take a JPEG or PNG file into the page.

    Raises:
        OSError: It cannot be read.
    """
    kind = "png" if picture.suffix == ".png" else "jpeg"
    return PagePicture(picture_uri(picture.read_bytes(), kind), caption)


def picture_uri(data: bytes, kind: str) -> str:
    """Return an encoded picture ("jpeg" or "png") as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def write_page(page: Page, path: Path) -> None:
    """Write a page, whole or not at all."""
    here = package_files("distill_jobs.tracking")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(here.joinpath("page.html.j2").read_text(encoding="utf-8"))
    css = Markup(here.joinpath("page.css").read_text(encoding="utf-8"))  # noqa: S704  # our own
    write_atomically(path, (template.render(page=page, css=css) + "\n").encode())
