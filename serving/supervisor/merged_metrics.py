"""Many processes' metrics as one text: every series says which process it is of.

The texts are our own processes', written by prometheus-client: lines are put together, not read.
Reading four gateways' series and writing them again took thirty times as long.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

LABEL = "process"
_HELP, _TYPE = "# HELP ", "# TYPE "


@dataclass
class _Family:
    """One family of several processes: its head, and the samples below it."""

    type_line: str
    help_line: str = ""
    samples: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        head = [self.help_line] if self.help_line else []
        return [*head, self.type_line, *self.samples]


def merge(texts: Mapping[str, str]) -> bytes:
    """Return one text of many.

    Args:
        texts: What each process answers, in Prometheus' text format, by its name; each family with
            its type before its samples.
    """
    families: dict[str, _Family] = {}
    for process, text in texts.items():
        _add(families, process, text)
    lines = [line for family in families.values() for line in family.lines()]
    return "".join(f"{line}\n" for line in lines).encode()


def _add(families: dict[str, _Family], process: str, text: str) -> None:
    label, help_line = f'{LABEL}="{process}"', ""
    family = _Family("")
    # By newlines alone: a class's name may hold what Unicode counts as the end of a line.
    for line in text.split("\n"):
        if line.startswith(_HELP):
            help_line = line
        elif line.startswith(_TYPE):
            family = _family(families, line, help_line)
            help_line = ""
        elif line and not line.startswith("#"):
            family.samples.append(_labelled(line, label))


def _family(families: dict[str, _Family], type_line: str, help_line: str) -> _Family:
    """Return the family that a head begins; one that is shown to nobody where types differ.

    Two versions of the program may disagree on a type while one follows the other.
    """
    name = type_line.removeprefix(_TYPE).partition(" ")[0]
    known = families.setdefault(name, _Family(type_line, help_line))
    return known if known.type_line == type_line else _Family(type_line)


def _labelled(sample: str, label: str) -> str:
    name, brace, rest = sample.partition("{")
    if brace:
        return f"{name}{{{label},{rest}"
    name, _, value = sample.partition(" ")
    return f"{name}{{{label}}} {value}"
