"""Cells, one after the other: each is done by what its kind names and kept when it is done."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from bench.distill.cells import Cell, Figures
from bench.provenance import provenance
from bench.serve.accuracy import accuracy
from bench.serve.answers import Mismatch
from bench.serve.cameras import hold
from bench.serve.contestants import Contestant, Setting
from bench.serve.environments import PeerUnavailable
from bench.serve.loading import Load
from bench.serve.plan import Plan
from bench.serve.running import ServerFailed
from bench.serve.turns import turn
from bench.serve.workplace import Workplace
from distill_jobs.files import write_json
from serving.admin_client import AdminError
from serving.errors import UnderstudyError
from understudy.demo.stack import StackFailed

COMMAND = "make bench-serve"
# What may go wrong with a server; anything else is an error of ours and ends the run.
_FAILURES = (
    AdminError,
    Mismatch,
    PeerUnavailable,
    ServerFailed,
    StackFailed,
    UnderstudyError,
    aiohttp.ClientError,
    TimeoutError,
)


@dataclass(frozen=True)
class Doer:
    """Does what a plan names until nothing is left.

    Attributes:
        plan: Asked again after each cell.
        place: What is served and sent.
        note: Told of beginnings and ends.
    """

    plan: Plan
    place: Workplace
    note: Callable[[str], None]

    def run(self) -> list[Cell]:
        """Do everything; returns the cells that failed (and are tried again by the next run)."""
        failed: dict[str, Cell] = {}
        while (cell := self._next(failed)) is not None:
            self.note(f"begin {cell.key}")
            folder = self.plan.store.describe(cell)
            began_s = time.monotonic()
            try:
                figures = asyncio.run(self._do(cell))
            except _FAILURES as error:
                failed[cell.key] = cell
                self.note(f"FAILED {cell.key}: {error}")
                continue
            wall_s = round(time.monotonic() - began_s, 1)
            done = {"figures": figures, "wall_s": wall_s, "about": provenance(COMMAND)}
            write_json(folder / "done.json", done)
            self.note(f"done {cell.key} in {wall_s:.0f} s")
        return list(failed.values())

    def _next(self, failed: dict[str, Cell]) -> Cell | None:
        for cell in self.plan.cells():
            if cell.key not in failed and self.plan.store.figures(cell.key) is None:
                return cell
        return None

    async def _do(self, cell: Cell) -> Figures:
        inputs = cell.inputs
        if cell.kind == "round":
            return await self._round(inputs)
        contestant, best = Contestant.from_json(inputs["contestant"]), inputs["best"]
        if cell.kind == "probe":
            return await self._probe(contestant, best, inputs)
        if cell.kind == "accuracy":
            return await accuracy(contestant, self.place, best, inputs["samples"])
        return await hold(contestant, self.place, best, inputs["cameras"], inputs["seconds"])

    async def _probe(
        self, contestant: Contestant, best: str | None, inputs: dict[str, Any]
    ) -> Figures:
        """Try each setting; the first one's answers are held against the reference, all of them."""
        load = Load(**inputs["load"])
        tried: list[dict[str, Any]] = []
        for values in inputs["settings"]:
            one = contestant.set_to(Setting(**values))
            found = await turn(one, self.place, best, [load], check_all=not tried)
            tried.append({"setting": values, **found["loads"][load.key], "told": found})
        fastest = max(tried, key=lambda one: float(one["requests_per_s"]))
        told = [one.pop("told") for one in tried]
        return {
            "chosen": fastest["setting"],
            "variant": told[tried.index(fastest)]["variant"],
            "same_boxes": told[0]["same_boxes"],
            "tried": tried,
        }

    async def _round(self, inputs: dict[str, Any]) -> Figures:
        loads = [Load(**values) for values in inputs["loads"]]
        turns = {}
        for values in inputs["contestants"]:
            contestant = Contestant.from_json(values)
            turns[contestant.name] = {
                "setting": values["setting"],
                **await turn(contestant, self.place, inputs["best"], loads),
            }
        return {"turns": turns}
