"""What is labelled by whom: written down before the first frame, so that it can be gone on with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from distill_jobs.errors import RunFolderInvalid
from distill_jobs.files import write_atomically
from distill_jobs.labelling.asked import Asked

_PLAN, _FRAMES, _SHARDS = "labelling.json", "frames.txt", "shards"


class Plan(BaseModel):
    """What a folder of labels is of.

    Attributes:
        asked: The teacher, and how it looks.
        places: Where the frames were found, absolute paths.
        video_fps: Frames that were taken of a second of video.
        shard_frames: How many frames are labelled, and kept, together.
        frames: How many there are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: Asked
    places: tuple[Path, ...]
    video_fps: float
    shard_frames: int
    frames: int = 0


@dataclass(frozen=True)
class Shard:
    """Some frames that are labelled together.

    Attributes:
        number: From 0.
        offset: Of its first line in the list of all frames, bytes.
        frames: How many there are.
    """

    number: int
    offset: int
    frames: int


@dataclass(frozen=True)
class LabelFolder:
    """Where the labels are written; on a cluster a folder that all its machines share.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def frames_file(self) -> Path:
        """Every frame, a path a line, in the order of the labels."""
        return self.path / _FRAMES

    @property
    def video_frames(self) -> Path:
        """Frames that were taken out of videos."""
        return self.path / "frames"

    @property
    def is_fresh(self) -> bool:
        """Whether nothing is in it but what a labelling leaves that was cut off at once."""
        if not self.path.exists():
            return True
        ours = {_FRAMES, self.video_frames.name}
        return self.path.is_dir() and all(
            one.name in ours or one.name.startswith(".") for one in self.path.iterdir()
        )

    def shard_file(self, number: int) -> Path:
        """Return where a shard's labels are; it is there when the shard is finished."""
        return self.path / _SHARDS / f"{number:06}.jsonl"

    def read(self) -> Plan | None:
        """Return the plan that the folder holds; None where it holds none yet.

        Raises:
            RunFolderInvalid: It holds one that cannot be read.
        """
        file = self.path / _PLAN
        try:
            return Plan.model_validate_json(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise RunFolderInvalid(self.path, f"{_PLAN} cannot be read: remove the folder") from (
                error
            )

    def write(self, plan: Plan) -> None:
        """Write the plan; the frames must be listed."""
        text = plan.model_dump_json(indent=2) + "\n"
        write_atomically(self.path / _PLAN, text.encode())

    def check_same(self, found: Plan, wanted: Plan) -> None:
        """Check that the folder is of the labels that are asked for.

        Raises:
            RunFolderInvalid: It is of others.
        """
        has, wants = _flat(found), _flat(wanted)
        for name in sorted(has.keys() - {"frames"}):
            if has[name] != wants[name]:
                raise RunFolderInvalid(
                    self.path,
                    f"holds labels of another kind: {name} was {has[name]}, not {wants[name]}. "
                    "Give what was given before, or another --out",
                )

    def shards(self, plan: Plan) -> Iterator[Shard]:
        """Yield every shard, finished or not; the list of frames is read along."""
        with self.frames_file.open("rb") as lines:
            for number, first in enumerate(range(0, plan.frames, plan.shard_frames)):
                offset = lines.tell()
                count = min(plan.shard_frames, plan.frames - first)
                for _ in range(count):
                    lines.readline()
                yield Shard(number, offset, count)

    def images(self, shard: Shard) -> Sequence[Path]:
        """Return the frames of a shard."""
        with self.frames_file.open("rb") as lines:
            lines.seek(shard.offset)
            found = [lines.readline().decode() for _ in range(shard.frames)]
        return [Path(line.rstrip("\n")) for line in found]


def _flat(plan: Plan) -> dict[str, object]:
    said = plan.model_dump(mode="json")
    return {**said.pop("asked"), **said}
