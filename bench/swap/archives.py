"""The demo's student in two versions, so that one can take the other's place."""

import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from distill_jobs.environment import PROJECT_ROOT
from distill_jobs.progress import RichReporter
from distill_jobs.release import archive as packing
from distill_jobs.release import sign
from distill_jobs.release.card import as_json
from distill_jobs.run import run_job
from proto.wire.v1 import card_pb2

JOB = PROJECT_ROOT / "distill_jobs" / "demo" / "job.yaml"
MODEL = "bench-student"
VERSIONS = ("1.0", "2.0")
# What the archiver and `stage` put there themselves.
_MADE_ANEW = ("MAR-INF", "handlers", packing.HANDLER_NAME)


@dataclass(frozen=True)
class Material:
    """What is swapped, and what is sent.

    Attributes:
        model_store: Holds one archive a version.
        trusted_key: Public key that signed them.
        frames: Encoded images of the demo's held-out scenes.
        image_side_px: Of the student's input.
    """

    model_store: Path
    trusted_key: Path
    frames: Sequence[bytes]
    image_side_px: int


def material(
    folder: Path, *, model_store: Path | None = None, versions: Sequence[str] = VERSIONS
) -> Material:
    """Train the demo's student where that was not done yet, and archive it in several versions.

    The weights of all are the same: what is measured is the swap. The handlers are today's.

    Args:
        folder: Keeps what was trained.
        model_store: Gets the archives, and nothing else is left there; None: below `folder`.
        versions: Of the archives.
    """
    trained = folder / "trained" / "demo-student-1.0.mar"
    key = sign.ensure_key(folder / "home" / sign.KEY_NAME)
    if not trained.exists():
        shutil.rmtree(folder / "job", ignore_errors=True)
        with RichReporter() as reporter:
            run_job(
                JOB,
                folder / "job",
                reporter=reporter,
                model_store=trained.parent,
                signing_key=key,
            )
    model_store = model_store or folder / "model_store"
    shutil.rmtree(model_store, ignore_errors=True)
    model_store.mkdir(parents=True)
    sides = [_version(trained, version, model_store, key) for version in versions]
    images = sorted((folder / "job" / "data" / "images" / "test").glob("*.jpg"))[:32]
    frames = tuple(image.read_bytes() for image in images)
    return Material(model_store, sign.public_key_of(key), frames, sides[0])


def _version(trained: Path, version: str, model_store: Path, key: Path) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        stage = Path(scratch) / "stage"
        with zipfile.ZipFile(trained) as packed:
            packed.extractall(stage)  # our own, made above
        for name in _MADE_ANEW:
            _remove(stage / name)
        card_file = stage / packing.CARD_NAME
        card = json_format.Parse(card_file.read_text(), card_pb2.Card())
        card.name, card.version = MODEL, version
        card.digests.clear()
        card.digests.update(packing.stage(stage, {}))
        card_file.write_text(as_json(card))
        packing.publish(
            stage, name=MODEL, version=version, model_store=model_store, signing_key=key
        )
        return int(card.input.width)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
