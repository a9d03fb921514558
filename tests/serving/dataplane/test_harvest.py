import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from harvested_frames import START, TEACHERS, disagreement

from serving.dataplane.harvest import Harvest
from serving.dataplane.harvest_folder import HarvestFolder
from serving.dataplane.harvest_frame import Disagreement
from serving.dataplane.harvest_plan import HarvestPlan
from serving.dataplane.harvest_writer import write_frame

SINCE_START_S = (datetime.now(UTC) - START).total_seconds()


class Minutes:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def recent(**options: object) -> Disagreement:
    """Return a frame of just now."""
    return disagreement(after_s=SINCE_START_S, **options)  # type: ignore[arg-type]


def plan(folder: Path, **limits: object) -> HarvestPlan:
    return HarvestPlan.model_validate({"folder": folder / "harvest", **limits})


async def test_only_frames_on_which_the_arms_disagree_are_kept(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    harvest = Harvest(plan(tmp_path, below_f1=0.5), lambda one: outcomes.update([one]))

    async with harvest.running():
        harvest.offer(recent(student=TEACHERS))
        harvest.offer(recent(student=()))
        harvest.offer(recent(student=TEACHERS[:1]))  # F1 of 2/3

    assert outcomes == {"kept": 1}
    assert len(HarvestFolder(tmp_path / "harvest").frames()) == 1


async def test_a_camera_and_a_gateway_have_their_limit_a_minute(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    clock = Minutes()
    limits = plan(tmp_path, max_per_minute=3, max_per_minute_of_camera=2)
    harvest = Harvest(limits, lambda one: outcomes.update([one]), clock=clock)

    async with harvest.running():
        for camera in ("a", "a", "a", "b", "b"):
            harvest.offer(recent(camera_id=camera))
        clock.now = 60.0
        harvest.offer(recent(camera_id="a"))

    kept = HarvestFolder(tmp_path / "harvest").frames()
    assert outcomes == {"kept": 4, "limited": 2}
    assert Counter(frame.camera_id() for frame in kept) == {"a": 3, "b": 1}


async def test_a_writer_that_is_behind_drops_what_comes(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    limits = plan(tmp_path, max_per_minute=1000, max_per_minute_of_camera=1000)
    harvest = Harvest(limits, lambda one: outcomes.update([one]))

    async with harvest.running():
        # Nothing awaits in between, so nothing is written in between.
        for _ in range(20):
            harvest.offer(recent())

    assert outcomes == {"dropped": 12, "kept": 8}


async def test_size_and_age_are_kept_to(tmp_path: Path) -> None:
    size = write_frame(tmp_path, recent())
    assert size is not None
    limits = plan(
        tmp_path,
        max_bytes=5 * size.size_bytes,
        max_age_days=1,
        max_per_minute=1000,
        max_per_minute_of_camera=1000,
    )
    old = write_frame(limits.folder, disagreement())
    assert old is not None
    outcomes: asyncio.Queue[str] = asyncio.Queue()
    harvest = Harvest(limits, outcomes.put_nowait)

    held: list[int] = []
    async with harvest.running():
        for _ in range(12):
            harvest.offer(recent())
            assert await outcomes.get() == "kept"
            held.append(sum(frame.size_bytes for frame in HarvestFolder(limits.folder).frames()))

    assert not old.image.exists()
    assert max(held) <= limits.max_bytes
    assert held[-1] >= 3 * size.size_bytes


async def test_a_frame_that_is_larger_than_the_limit_or_no_image_fails(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    harvest = Harvest(plan(tmp_path, max_bytes=100), lambda one: outcomes.update([one]))

    async with harvest.running():
        harvest.offer(recent())
        harvest.offer(recent(image=b"BM"))

    assert outcomes == {"failed": 2}


async def test_a_disk_that_refuses_is_counted_and_survived(tmp_path: Path) -> None:
    (tmp_path / "harvest").write_text("a file, where a folder should be")
    outcomes: Counter[str] = Counter()
    harvest = Harvest(plan(tmp_path), lambda one: outcomes.update([one]))

    async with harvest.running():
        harvest.offer(recent())

    assert outcomes == {"failed": 1}


async def test_two_gateways_share_a_folder(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    limits = plan(tmp_path, max_per_minute_of_camera=5)
    harvests = [Harvest(limits, lambda one: outcomes.update([one])) for _ in range(2)]

    async with harvests[0].running(), harvests[1].running():
        for _ in range(5):
            for harvest in harvests:
                harvest.offer(recent())

    assert outcomes == {"kept": 10}
    assert len(HarvestFolder(limits.folder).frames()) == 10


async def test_the_folder_says_what_it_is_and_how_to_be_rid_of_it(tmp_path: Path) -> None:
    async with Harvest(plan(tmp_path, max_age_days=9), lambda _: None).running():
        pass

    text = (tmp_path / "harvest" / "README.txt").read_text()
    for said in ("PERSONAL DATA", "Faces and number plates", "9 days", "1074 MB", "harvest purge"):
        assert said in text


@pytest.mark.parametrize("limit", ["below_f1", "max_per_minute", "max_bytes", "max_age_days"])
def test_a_limit_of_nothing_is_refused(tmp_path: Path, limit: str) -> None:
    with pytest.raises(ValueError, match=limit):
        plan(tmp_path, **{limit: 0})


async def test_a_frame_that_cannot_be_written_does_not_end_the_harvest(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    harvest = Harvest(plan(tmp_path), lambda one: outcomes.update([one]))
    odd = recent()
    # A worker that says the image has no width.
    reply = replace(odd.primary.reply, width=0)

    async with harvest.running():
        harvest.offer(replace(odd, primary=replace(odd.primary, reply=reply)))
        harvest.offer(recent())

    assert outcomes == {"failed": 1, "kept": 1}
