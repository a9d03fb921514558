"""Tables of the results, for people."""

from collections.abc import Iterable, Sequence
from typing import Any

from bench.distill.cells import Figures
from bench.serve.comparisons import LONE, PRESSED


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def number(value: Any, digits: int = 1) -> str:
    """Return a figure, "-" where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def goals(report: Figures) -> str:
    """Return the goals with their verdicts."""
    rows = [
        [
            one["line"],
            one["goal"],
            f"{one['limit']:g} {one['unit']}",
            number(one["measured"], 3),
            f"**{one['verdict']}**",
        ]
        for one in report["goals"]
    ]
    return table(["line", "goal", "limit", "measured", "verdict"], rows)


def contestants(found: Figures) -> str:
    """Return a comparison: throughput under pressure, a lone request, what both cost."""
    rows = []
    for name, loads in found["contestants"].items():
        pressed, lone = loads.get(PRESSED, {}), loads.get(LONE, {})
        rows.append(
            [
                name,
                number(pressed.get("requests_per_s")),
                number(pressed.get("p50_ms")),
                number(pressed.get("p99_ms")),
                number(lone.get("p50_ms")),
                number(lone.get("p99_ms")),
                _groups(pressed.get("cpu_ms", {})),
                number(_total(pressed.get("rss_mib", {})), 0),
                str(pressed.get("failed", 0) + lone.get("failed", 0)),
            ]
        )
    head = ["server", "16: requests/s", "p50 ms", "p99 ms", "1: p50 ms", "p99 ms"]
    return table([*head, "CPU ms a request at 16", "RSS MiB", "failed"], rows)


def stages(found: Figures) -> str:
    """Return where a request's time goes, for servers that tell."""
    told = [
        (name, load, one["stages_ms"])
        for name, loads in found["contestants"].items()
        for load, one in loads.items()
        if one["stages_ms"]
    ]
    names = list(dict.fromkeys(stage for *_, stages_ms in told for stage in stages_ms))
    rows = [
        [name, load, *(number(stages_ms.get(stage)) for stage in names)]
        for name, load, stages_ms in told
    ]
    return table(["server", "connections x images", *names], rows)


def settings(report: Figures) -> str:
    """Return what each contestant's probe tried and kept."""
    rows = [
        [
            name,
            "; ".join(
                f"{_setting(one['setting'])}: {number(one['requests_per_s'])}"
                for one in figures["tried"]
            ),
            _setting(figures["chosen"]),
        ]
        for name, figures in report["settings"].items()
    ]
    return table(["server", "tried, requests/s at 16", "kept"], rows)


def cameras(found: Figures) -> str:
    """Return every number of cameras that was tried."""
    rows = [
        [
            model,
            str(step["cameras"]),
            number(step["p50_ms"]),
            number(step["p99_ms"]),
            str(step["dropped"]),
            str(step["sent"] - step["answered"] - step["dropped"]),
            "**held**" if step["cameras"] == found[model]["held"] else "",
        ]
        for model in ("yolov8n", "yolov8s")
        for step in found[model]["steps"]
    ]
    return table(["model", "cameras", "p50 ms", "p99 ms", "dropped", "failed", ""], rows)


def growth(found: Figures) -> str:
    """Return one part of line 4: every contestant under every load."""
    rows = [
        [
            name,
            load,
            number(one["requests_per_s"]),
            number(one["p50_ms"]),
            number(one["p99_ms"]),
            _groups(one["cpu_ms"]),
            str(one["failed"]),
        ]
        for name, loads in found["contestants"].items()
        for load, one in loads.items()
    ]
    head = ["server", "connections x images", "requests/s", "p50 ms", "p99 ms"]
    return table([*head, "CPU ms a request", "failed"], rows)


def memory(found: Figures) -> str:
    """Return the stack's memory by workers."""
    rows = [
        [
            part,
            number(one["rss_mib"], 0),
            number(one["pss_mib"], 0),
            ", ".join(f"{group} {told['rss']:.0f}" for group, told in one["groups"].items()),
        ]
        for part, one in found.items()
    ]
    return table(["stack", "RSS MiB", "PSS MiB", "RSS of each"], rows)


def _groups(figures: dict[str, float | None]) -> str:
    return ", ".join(f"{group} {number(one)}" for group, one in figures.items()) or "-"


def _total(figures: dict[str, float | None]) -> float | None:
    known = [one for one in figures.values() if one is not None]
    return sum(known) if known else None


def _setting(values: dict[str, Any]) -> str:
    quiet = "" if values["spinning"] else " quiet"
    return f"{values['workers']}x{values['threads']}{quiet}"
