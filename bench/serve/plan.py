"""Everything that is to be measured: line by line, as far as it can be named by now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.distill.cells import Cell, Figures, Store
from bench.serve.cameras import FPS, held, holds, next_to_try
from bench.serve.contestants import (
    BEST,
    FP32,
    LOOP,
    OURS,
    PEERS,
    TORCHSERVE,
    TWO_OF_ONE,
    Contestant,
    Setting,
    of_line_2,
)
from bench.serve.images import MIXED
from bench.serve.loading import Load
from bench.serve.scale import Scale

LINES = ("overhead", "peers", "cameras", "growth", "memory")
_BEST = Contestant(OURS, BEST)
_LONE, _PRESSED = 1, 16


@dataclass(frozen=True)
class Plan:
    """What there is to do.

    Attributes:
        store: Of the cells.
        scale: How long and how often.
        subject: What all cells' outcomes depend on: digests of archives, images and code.
        lines: Which lines.
        absent: Peers that cannot run here, and why.
    """

    store: Store
    scale: Scale
    subject: dict[str, str]
    lines: tuple[str, ...]
    absent: dict[str, str]

    def cells(self) -> list[Cell]:
        """Return every cell that can be named by now; more can once the probes are done."""
        probe = self.probe(_BEST)
        if self.best is None:
            return [probe]
        probes = [probe, *(self.probe(one) for one in self._probed() if one != _BEST)]
        if any(self.store.figures(cell.key) is None for cell in probes):
            return probes
        by_line = {
            "overhead": self.overhead,
            "peers": self.peers,
            "cameras": self.cameras,
            "growth": self.growth,
            "memory": self.memory,
        }
        return probes + [cell for line in self.lines for cell in by_line[line]()]

    @property
    def best(self) -> str | None:
        """The variant that the archive chose here; None until it was asked."""
        figures = self.store.figures(self.probe(_BEST).key)
        return None if figures is None else str(figures["variant"])

    def probe(self, contestant: Contestant) -> Cell:
        """Return the cell that finds a contestant's better setting."""
        load = Load(_PRESSED, self.scale.probe_s, self.scale.warm_up_s)
        settings = [vars(one) for one in contestant.settings_to_try[: self.scale.settings]]
        # The archive's own choice is asked for here, and pinned everywhere else.
        best = None if contestant == _BEST else self.best
        inputs = {"load": load.as_json(), "settings": settings, **self._who(contestant, best)}
        return self._cell("probe", contestant.name, inputs)

    def tuned(self, contestant: Contestant) -> Contestant:
        """Return a contestant with the setting that its probe found better.

        Where there is no probe of its own it takes over ours: line 1 compares at one setting.
        """
        own = contestant in of_line_2()
        figures = self.store.figures(self.probe(contestant if own else _BEST).key)
        return contestant if figures is None else contestant.set_to(Setting(**figures["chosen"]))

    def overhead(self) -> list[Cell]:
        """Line 1: ours, TorchServe alone and the bare loop, same archive, same setting."""
        setting = self.tuned(_BEST).setting
        wanted = [Contestant(one, BEST, setting) for one in (OURS, TORCHSERVE, LOOP)]
        return self._rounds("overhead", "", wanted, self._loads((_LONE, _PRESSED)))

    def peers(self) -> list[Cell]:
        """Lines 2a to 2c, and the accuracy that 2a stands on."""
        wanted = [self.tuned(one) for one in self._present(of_line_2())]
        accuracy = [
            self._cell(
                "accuracy",
                one.name,
                {"samples": self.scale.accuracy_images, **self._who(self.tuned(one), self.best)},
            )
            for one in (_BEST, Contestant(OURS, FP32))
        ]
        return accuracy + self._rounds("peers", "", wanted, self._loads((_LONE, _PRESSED)))

    def cameras(self) -> list[Cell]:
        """Line 3: for student and teacher, the numbers of cameras tried so far and the next."""
        return [cell for model in ("n", "s") for cell in self.camera_cells(model)]

    def camera_cells(self, model: str) -> list[Cell]:
        """Return one model's cells of line 3, in the order in which they were asked for."""
        known: dict[int, bool] = {}
        cells: list[Cell] = []
        while len(cells) < self.scale.camera_steps and (count := next_to_try(known)) is not None:
            cell = self.camera_cell(model, count)
            cells.append(cell)
            figures = self.store.figures(cell.key)
            if figures is None:
                break
            known[count] = holds(figures)
        return cells

    def camera_cell(self, model: str, count: int) -> Cell:
        """Return the cell of one number of cameras."""
        contestant = replace(self.tuned(_BEST), model=model)
        inputs = {"cameras": count, "fps": FPS, "seconds": self.scale.camera_s}
        return self._cell(
            "cameras", f"yolov8{model}-{count:03d}", {**inputs, **self._who(contestant, self.best)}
        )

    def cameras_held(self, model: str) -> int | None:
        """Return how many cameras a model holds; None until it is certain."""
        known = {
            int(cell.inputs["cameras"]): holds(figures)
            for cell in self.camera_cells(model)
            if (figures := self.store.figures(cell.key)) is not None
        }
        return held(known) if known and next_to_try(known) is None else None

    def growth(self) -> list[Cell]:
        """Line 4: connections, sizes, models, arms, shadow."""
        ours = self.tuned(_BEST)
        fp32 = [Contestant(one, FP32) for one in (OURS, TORCHSERVE, *PEERS)]
        everyone = [ours, *(self.tuned(one) for one in self._present(fp32))]
        split = replace(ours, setting=TWO_OF_ONE)
        shadows = [replace(split, shadow=share) for share in self.scale.shadows]
        both = self._loads((_LONE, _PRESSED))
        sizes = [load for size in self.scale.sizes for load in self._loads((_LONE, _PRESSED), size)]
        parts = {
            "connections": (everyone, self._loads(self.scale.connections)),
            "sizes": ([ours], sizes),
            "models": ([replace(ours, model=model) for model in ("n", "s")], both),
            "arms": ([replace(split, arms=arms) for arms in (1, 2)], both),
            "shadow": (shadows, both),
        }
        return [
            cell
            for part, (wanted, loads) in parts.items()
            for cell in self._rounds("growth", part, wanted, loads)
        ]

    def memory(self) -> list[Cell]:
        """Resident memory of the whole stack, by workers."""
        wanted = [_BEST.set_to(Setting(workers, 1)) for workers in self.scale.memory_workers]
        cells = []
        for one in wanted:
            part = f"{one.setting.workers} workers"
            cells += self._rounds("memory", part, [one], self._loads((_PRESSED,)))
        return cells

    def _probed(self) -> tuple[Contestant, ...]:
        if {"peers", "growth"} & set(self.lines):
            return tuple(self._present(of_line_2()))
        return (_BEST,)

    def _present(self, wanted: Sequence[Contestant]) -> list[Contestant]:
        return [one for one in wanted if one.server not in self.absent]

    def _loads(self, connections: Sequence[int], images: str = MIXED) -> list[Load]:
        scale = self.scale
        return [Load(count, scale.seconds, scale.warm_up_s, images) for count in connections]

    def _rounds(
        self, line: str, part: str, wanted: Sequence[Contestant], loads: Sequence[Load]
    ) -> list[Cell]:
        """Return a comparison's rounds; each begins with another contestant."""
        cells = []
        for number in range(self.scale.rounds[line]):
            first = number % len(wanted)
            order = [*wanted[first:], *wanted[:first]]
            inputs = {
                "line": line,
                "part": part,
                "round": number,
                "contestants": [one.as_json() for one in order],
                "loads": [load.as_json() for load in loads],
                "best": self.best,
                **self.subject,
            }
            mark = "-".join(text.replace(" ", "-") for text in (line, part) if text)
            cells.append(self._cell("round", f"{mark}-{number}", inputs))
        return cells

    def _who(self, contestant: Contestant, best: str | None) -> dict[str, Any]:
        return {"contestant": contestant.as_json(), "best": best, **self.subject}

    @staticmethod
    def _cell(kind: str, name: str, inputs: dict[str, Any]) -> Cell:
        return Cell(kind=kind, name=name.replace(" ", "-").replace("%", ""), inputs=inputs)


def figures_of(plan: Plan, cells: Sequence[Cell]) -> list[tuple[Cell, Figures]]:
    """Return the cells that are done, with what they left."""
    found = [(cell, plan.store.figures(cell.key)) for cell in cells]
    return [(cell, figures) for cell, figures in found if figures is not None]
