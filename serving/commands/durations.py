"""How long, as an operator types it."""

import re

import typer

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(text: str, option: str) -> float:
    """Return the seconds of "90s", "15m", "2h" or "1d".

    Args:
        text: As it was typed.
        option: For which it was.

    Raises:
        typer.BadParameter: It does not read so.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd])", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text}: a time reads 90s, 15m, 2h or 1d", param_hint=option)
    return float(found[1]) * _SECONDS[found[2]]
