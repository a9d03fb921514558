"""A class's name as a label: a card may name thousands, and each would be a series of its own."""

from collections.abc import Sequence

MOST_CLASSES = 100
OTHER = "other"


def class_label(names: Sequence[str], number: int) -> str:
    """Return a class's name; "other" beyond the first hundred, or beyond the card.

    Args:
        names: Of the release's card; index = class id.
        number: The class id.
    """
    return names[number] if number < min(len(names), MOST_CLASSES) else OTHER
