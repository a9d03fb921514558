"""Reading a JSON object field by field, with complaints that name the field.

Only the standard library: this travels in every archive.
"""

from collections.abc import Callable
from typing import TypeVar

from handlers.errors import CardError

T = TypeVar("T")


class Fields:
    """One object of a JSON document.

    Args:
        document: What the document is called in complaints: "card.json".
        value: The object.
        path: Its place in the document, dotted; empty for the document itself.

    Raises:
        CardError: `value` is not a JSON object.
    """

    def __init__(self, document: str, value: object, path: str = "") -> None:
        self._document = document
        self._path = path
        if not isinstance(value, dict):
            raise CardError(f"{document}: {path or 'the document'}: must be an object")
        self._values: dict[str, object] = value

    def has(self, key: str) -> bool:
        """Whether `key` is there: a document made before it was thought of lacks it."""
        return key in self._values

    def fail(self, key: str, wanted: str) -> CardError:
        """Return the complaint that `key` is not as `wanted`."""
        got = repr(self._values[key]) if key in self._values else "nothing"
        where = self._where(key)
        return CardError(f"{self._document}: {where}: must be {wanted}, got {got}")

    def check(self, key: str, kind: type[T], holds: Callable[[T], bool], wanted: str) -> T:
        """Return the value of `key` if it is of `kind` and `holds`.

        Raises:
            CardError: It is absent, of another type, or does not hold.
        """
        value = self._values.get(key)
        # JSON has one kind of number, so 1 is a good float; true is an int to Python but no number.
        if kind is float and type(value) is int:
            value = float(value)
        if isinstance(value, bool) is not (kind is bool) or not isinstance(value, kind):
            raise self.fail(key, wanted)
        if not holds(value):
            raise self.fail(key, wanted)
        return value

    def text(self, key: str) -> str:
        """Return a text that is not empty."""
        return self.check(key, str, bool, "a text that is not empty")

    def flag(self, key: str) -> bool:
        """Return true or false."""
        return self.check(key, bool, lambda _: True, "true or false")

    def count(self, key: str) -> int:
        """Return a whole number above 0."""
        return self.check(key, int, lambda value: value > 0, "a whole number above 0")

    def number(self, key: str, low: float, high: float) -> float:
        """Return a number from `low` to `high`."""
        wanted = f"a number from {low:g} to {high:g}"
        return self.check(key, float, lambda value: low <= value <= high, wanted)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, at least one."""
        values = self._items(key)
        if not all(isinstance(value, str) for value in values):
            raise self.fail(key, "a list of texts")
        return tuple(str(value) for value in values)

    def some_texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; none where the key is absent, as in documents made before it."""
        return self.texts(key) if self._values.get(key) else ()

    def numbers(self, key: str, count: int, low: float, high: float) -> tuple[float, ...]:
        """Return a list of `count` numbers from `low` to `high`."""
        values = [value for value in self._items(key) if _is_number(value, low, high)]
        if len(values) != count or len(self._items(key)) != count:
            raise self.fail(key, f"{count} numbers from {low:g} to {high:g}")
        return tuple(float(str(value)) for value in values)

    def inner(self, key: str) -> "Fields":
        """Return the object under `key`."""
        return Fields(self._document, self._values.get(key), self._where(key))

    def each(self, key: str) -> tuple["Fields", ...]:
        """Return the list of objects under `key`, at least one."""
        return tuple(
            Fields(self._document, value, f"{self._where(key)}[{place}]")
            for place, value in enumerate(self._items(key))
        )

    def some(self, key: str) -> tuple["Fields", ...]:
        """Return the list of objects under `key`; none where it is absent or empty."""
        return self.each(key) if self._values.get(key) else ()

    def _items(self, key: str) -> list[object]:
        return self.check(key, list, bool, "a list that is not empty")

    def _where(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
