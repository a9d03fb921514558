"""One go at learning from a harvest: its folder, and how far it has come."""

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from distill_jobs.files import write_json
from distill_jobs.redistil.harvest import HarvestFrame, read_harvest
from distill_jobs.redistil.pictures import remove_pictures

State = Literal["choosing", "chosen", "in review", "running", "ended"]


@dataclass(frozen=True)
class Attempt:
    """The folder of one attempt. It holds pictures of people: only its owner may look.

    Attributes:
        path: Gets `frames/` (copies: a gateway removes old ones), `review.csv`, `data/`,
            `job.yaml`, `run/` and `ended.json`; harvested pictures stay until it ends.
    """

    path: Path

    @classmethod
    def latest(cls, root: Path) -> "Attempt | None":
        """Return the attempt that was begun last, finished or not."""
        found = sorted(one for one in root.glob("*T*Z") if one.is_dir())
        return cls(found[-1]) if found else None

    @classmethod
    def begin(cls, root: Path) -> "Attempt":
        """Make the folder of a new attempt, named by the time."""
        root.mkdir(parents=True, exist_ok=True)
        path = root / datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        path.mkdir(mode=0o700)
        return cls(path)

    @property
    def job_file(self) -> Path:
        """The job that trains on the frames too."""
        return self.path / "job.yaml"

    @property
    def run_dir(self) -> Path:
        """The run folder."""
        return self.path / "run"

    @property
    def review_list(self) -> Path:
        """The list that a person edits, where a review was asked for."""
        return self.path / "review.csv"

    @property
    def state(self) -> State:
        """How far it has come; "choosing" was killed while it copied frames."""
        if (self.path / "ended.json").exists():
            return "ended"
        if (self.run_dir / "run.json").exists():
            return "running"
        if not (self.path / "choice.json").exists():
            return "choosing"
        return "in review" if self.review_list.exists() else "chosen"

    def keep_frames(self, frames: Sequence[HarvestFrame]) -> list[str]:
        """Copy frames, with their labels and answers, in the harvest's own layout.

        Returns:
            Names of those copied: a gateway may remove some while they are chosen.
        """
        kept = []
        for frame in frames:
            with contextlib.suppress(FileNotFoundError):
                self._keep(frame)
                kept.append(frame.name)
        return kept

    def _keep(self, frame: HarvestFrame) -> None:
        data_set, split = frame.image.parents[2], frame.image.parent.name
        target = self.path / "frames" / data_set.name
        answers = data_set / "answers" / split / f"{frame.image.stem}.json"
        # The image last, as in the harvest: without it the rest is no frame.
        for kind, file in (("answers", answers), ("labels", frame.labels), ("images", frame.image)):
            (target / kind / split).mkdir(parents=True, exist_ok=True)
            if kind != "answers" or file.is_file():
                shutil.copyfile(file, target / kind / split / file.name)
        shutil.copyfile(data_set / "data.yaml", target / "data.yaml")

    def keep_note(self, note: dict[str, object]) -> None:
        """Write what is worth remembering of the choice; with it the frames are chosen."""
        write_json(self.path / "choice.json", note)

    def frames(self, class_names: Sequence[str]) -> list[HarvestFrame]:
        """Read the kept frames back."""
        return read_harvest(self.path / "frames", class_names)

    def note(self) -> dict[str, object]:
        """Return what `keep_note` noted."""
        content: dict[str, object] = json.loads((self.path / "choice.json").read_text("utf-8"))
        return content

    def end(self, outcome: str) -> None:
        """Write that it ended, and how, and remove the harvested pictures it still holds.

        An attempt that ended is not gone on with. What a person said of the frames is in the
        memory of all attempts; the pictures are the harvest's, whose limits do not reach here.
        """
        ended = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(self.path / "ended.json", {"ended": ended, "outcome": outcome})
        remove_pictures(self.path)

    def discard(self) -> None:
        """Remove it: a kill left it half chosen, or there was nothing to learn from."""
        shutil.rmtree(self.path)

    def discard_run(self) -> None:
        """Remove a run folder that a kill left before its run began."""
        if not (self.run_dir / "run.json").exists():
            shutil.rmtree(self.run_dir, ignore_errors=True)

    def relative(self) -> str:
        """Return its path as a command takes it."""
        return os.path.relpath(self.path)
