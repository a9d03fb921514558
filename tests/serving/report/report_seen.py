"""A report as a browser sees it."""

from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """What a browser sees of a page: its elements, and its text by row and paragraph.

    Args:
        text: Of the file.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self.rows and self.rows[-1] and self.lasttag in {"td", "th"}:
            self.rows[-1][-1] += data.strip()

    def row(self, *begins: str) -> list[str]:
        """The first row with these cells at its beginning, empty ones left out."""
        full = [[cell for cell in row if cell] for row in self.rows]
        return next(row for row in full if tuple(row[: len(begins)]) == begins)
