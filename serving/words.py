"""Numbers and times as people read them: always with a unit, never longer than they need."""

import re

NOTHING = "—"


def milliseconds(seconds: float | None) -> str:
    """Return a latency: "8.4 ms", "84 ms", "1.20 s"; a dash for none."""
    if seconds is None:
        return NOTHING
    if seconds >= 1:
        return f"{seconds:.2f} s"
    value = seconds * 1000
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def percent(share: float | None, *, digits: int = 1) -> str:
    """Return a share of 0 to 1 as a percentage; what is not quite all or nothing is told so."""
    if share is None:
        return NOTHING
    smallest = 10**-digits
    value = 100 * share
    if 0 < value < smallest:
        return f"<{smallest:.{digits}f}%"
    if 100 - smallest < value < 100:
        return f">{100 - smallest:.{digits}f}%"
    return f"{value:.{digits}f}%"


def weight(percentage: float) -> str:
    """Return an arm's weight: "25%", "33.33%"."""
    return f"{round(percentage, 2):g}%"


def rate(per_second: float | None) -> str:
    """Return frames a second: "0.4/s", "12/s"."""
    if per_second is None:
        return NOTHING
    return f"{per_second:.1f}/s" if per_second < 10 else f"{per_second:.0f}/s"


def guardrail_value(guardrail: str, value: float) -> str:
    """Return what a guardrail has seen, or its limit: "+0.50%", "1.50x", "0.800"."""
    texts = {"errors": f"{value:+.2%}", "p99": f"{value:.2f}x", "agreement": f"{value:.3f}"}
    return texts[guardrail]


def count(number: int, one: str, several: str | None = None) -> str:
    """Return how many of what: "1 camera", "3 cameras"."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def listed(names: list[str], *, most: int = 6) -> str:
    """Return names in a row, the first ones where there are too many."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"


def as_counted(name: str) -> list[str | int]:
    """Return what to sort names by, so that gate-2 comes before gate-10."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def size(number_of_bytes: int) -> str:
    """Return a size in powers of ten: "310 MB"."""
    value = float(number_of_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
