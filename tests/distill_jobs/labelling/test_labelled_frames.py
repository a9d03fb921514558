"""Which frames are labelled, what is kept of them, and what a job reads."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_labelling import TEACHER, asked, drawn, plan_of

from distill_jobs.errors import CheckpointRefused, DataSetInvalid, RunFolderInvalid
from distill_jobs.labelling.asked import Asked, Labeller
from distill_jobs.labelling.frames import list_frames
from distill_jobs.labelling.joining import join
from distill_jobs.labelling.plan import LabelFolder
from distill_jobs.labelling.shard import Counts, label_shard
from distill_jobs.training.teachers.found import SourceImage
from distill_jobs.training.teachers.stored import StoredDetections


def listed(tmp_path: Path, *places: Path, fps: float = 1.0) -> list[Path]:
    listing = tmp_path / "frames.txt"
    count = list_frames(places, listing, tmp_path / "frames", fps)
    lines = [Path(line) for line in listing.read_text().splitlines()]
    assert len(lines) == count
    return lines


def test_folders_lists_and_videos_are_listed_in_an_order_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "street"
    for name in ("b/2.jpg", "b/1.PNG", "a.webp", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    few = tmp_path / "few.txt"
    few.write_text("street/b/2.jpg\n")
    video = tmp_path / "gate.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for level in range(20):
        writer.write(np.full((48, 64, 3), 10 * level, np.uint8))
    writer.release()

    found = listed(tmp_path, folder, few, video, fps=5)

    names = [str(one.relative_to(tmp_path)) for one in found]
    taken = [f"frames/gate/{number:08}.jpg" for number in range(0, 20, 2)]
    assert names == [
        "street/a.webp",
        "street/b/1.PNG",
        "street/b/2.jpg",
        "street/b/2.jpg",
        *taken,
    ]
    assert abs(float(cv2.imread(str(found[-1])).mean()) - 180) < 3


def test_what_holds_no_frame_is_refused_and_nothing_is_listed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.md").write_text("x")
    (tmp_path / "broken.mp4").write_bytes(b"x")

    for name, why in (("empty", "no image"), ("notes.md", "no folder"), ("broken.mp4", "OpenCV")):
        with pytest.raises(DataSetInvalid, match=why):
            listed(tmp_path, tmp_path / name)
    assert not (tmp_path / "frames.txt").exists()


def test_a_folder_is_gone_on_with_only_by_what_began_it(tmp_path: Path) -> None:
    folder, plan = plan_of(tmp_path, drawn(tmp_path / "in", 5), shard_frames=2)
    other = plan.model_copy(update={"asked": plan.asked.model_copy(update={"min_score": 0.5})})

    folder.check_same(plan, plan.model_copy(update={"frames": 0}))
    with pytest.raises(RunFolderInvalid, match=r"min_score was 0\.1, not 0\.5"):
        folder.check_same(plan, other)
    shards = list(folder.shards(plan))
    assert [shard.frames for shard in shards] == [2, 2, 1]
    images = [image for shard in shards for image in folder.images(shard)]
    assert [str(one) for one in images] == folder.frames_file.read_text().splitlines()


def test_labels_are_what_the_teacher_finds_in_a_job(tmp_path: Path) -> None:
    images = drawn(tmp_path / "in", 4)
    (images / "0-broken.jpg").write_bytes(b"\xff\xd8 no picture")
    (images / "1-cut.jpg").write_bytes((images / "000.jpg").read_bytes()[:500])
    (images / "copy").mkdir()
    (images / "copy" / "000.jpg").write_bytes((images / "000.jpg").read_bytes())
    (images / "copy" / "001.jpg").write_bytes((images / "003.jpg").read_bytes() + b"\0")
    folder, plan = plan_of(tmp_path, images, shard_frames=3)

    counts = [label_shard(folder, plan, shard) for shard in folder.shards(plan)]
    copies = join(folder, plan)

    assert sum(counts, Counts()).frames == 8
    assert sum(one.broken for one in counts) == 2
    assert sum(one.objects for one in counts) > 0
    assert copies == 1
    broken = (folder.path / "broken.txt").read_text().splitlines()
    assert [Path(line.partition("\t")[0]).name for line in broken] == ["0-broken.jpg", "1-cut.jpg"]
    kept = [Path(line) for line in (folder.path / "images.txt").read_text().splitlines()]
    assert len(kept) == 5

    # As `further_teachers: [{detections: ...}]` reads them.
    stored = StoredDetections.load(folder.path / "detections.jsonl", None)
    stored.check_covers([SourceImage(one) for one in kept])
    teacher = Labeller(plan.asked)
    for image in kept:
        found, record = teacher.find(image), stored.of(SourceImage(image))
        assert record is not None
        assert record.classes == tuple(teacher.class_names[one] for one in found.class_ids)
        assert np.allclose(
            np.array(record.boxes_xyxy_px).reshape(-1, 4), found.boxes_xyxy_px, atol=1e-3
        )
    names = [json.loads(line).get("image") for line in stored.file.read_text().splitlines()]
    # Names that two files bear are none.
    assert names == [None, None, "002.jpg", "003.jpg", None]


def test_a_finished_shard_is_not_labelled_again(tmp_path: Path) -> None:
    folder, plan = plan_of(tmp_path, drawn(tmp_path / "in", 2), shard_frames=2)
    (shard,) = folder.shards(plan)
    first = label_shard(folder, plan, shard)
    for image in folder.images(shard):
        image.unlink()

    assert label_shard(folder, plan, shard) == first


def test_a_frame_that_is_gone_is_broken(tmp_path: Path) -> None:
    folder, plan = plan_of(tmp_path, drawn(tmp_path / "in", 2), shard_frames=2)
    (shard,) = folder.shards(plan)
    folder.images(shard)[0].unlink()

    counts = label_shard(folder, plan, shard)

    assert (counts.frames, counts.broken) == (2, 1)
    assert "cannot be read" in folder.shard_file(0).read_text()


def test_another_teacher_under_the_same_name_is_refused(tmp_path: Path) -> None:
    changed = asked().model_copy(update={"sha256": "0" * 64})

    with pytest.raises(CheckpointRefused, match="is not the file that this labelling began with"):
        Labeller(changed)
    with pytest.raises(CheckpointRefused, match="no such file"):
        Asked(weights=tmp_path / "none.pt", image_size=64, min_score=0.1).read()
    assert TEACHER.is_file()


def test_a_folder_of_something_else_is_not_written_to(tmp_path: Path) -> None:
    assert LabelFolder(tmp_path / "new").is_fresh
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames.txt").touch()
    assert LabelFolder(tmp_path).is_fresh
    (tmp_path / "thesis.tex").touch()
    assert not LabelFolder(tmp_path).is_fresh
