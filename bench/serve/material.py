"""What is served: archives of yolov8n and yolov8s, the peers' graph of yolov8n, the key."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from bench.provenance import PROJECT_ROOT
from bench.serve.graph import export_fixed
from distill_jobs.checkpoints import digest as file_digest
from distill_jobs.files import write_json
from distill_jobs.release import archive as packing
from distill_jobs.release import sign
from distill_jobs.release.card import as_json
from handlers.card import Card
from proto.wire.v1 import card_pb2

SIDE_PX = 640
VERSION, SECOND_VERSION = "1.0", "2.0"
_CODE_OF_ARCHIVES = ("handlers", "distill_jobs/release")
_MADE_ANEW = ("MAR-INF", "handlers", packing.HANDLER_NAME)


@dataclass(frozen=True)
class Material:
    """What is served.

    Attributes:
        data: UNDERSTUDY_DATA.
        model_store: Holds the archives bench-n-1.0, bench-n-2.0 (the same weights) and bench-s-1.0.
        trusted_key: Public key that signed them.
        extracted: bench-n's and bench-s's contents, by model.
        onnx: The peers' graph.
        cards: By model.
        digest: Changes when an archive's contents or the graph's weights do.
    """

    data: Path
    model_store: Path
    trusted_key: Path
    extracted: dict[str, Path]
    onnx: Path
    cards: dict[str, Card]
    digest: str

    def variant(self, path: str) -> str | None:
        """Return the variant that a path pins, None for the archive's own choice."""
        if path != "fp32":
            return None
        for one in self.cards["n"].variants:
            if one.runtime == "onnxruntime" and one.precision == "fp32":
                return one.name
        raise RuntimeError("bench-n's card has no ONNX Runtime variant in FP32")


def material(folder: Path, data: Path, *, quick: bool, note: Callable[[str], None]) -> Material:
    """Build what is not there yet; what the archives are made of decides where it lies.

    Args:
        folder: Of the benchmark.
        data: UNDERSTUDY_DATA.
        quick: Archives whose quality is not measured, so without INT8: seconds instead of minutes.
        note: Told what is built.
    """
    weights, mark = _weights(data), material_digest(data, quick=quick)
    place = folder / f"material-{mark}"
    key = sign.ensure_key(place / "home" / sign.KEY_NAME)
    store = place / "model_store"
    for name, checkpoint in weights.items():
        if not (place / f"{name}.done").exists():
            note(f"building the archive of yolov8{name}")
            _build(name, checkpoint, _images(data, quick=quick), store, key)
            write_json(place / f"{name}.done", {})
    onnx = place / "yolov8n-640-fp32.onnx"
    if not onnx.exists():
        export_fixed(weights["n"], SIDE_PX, onnx)
    extracted = {name: _extracted(store / _archive(name), place) for name in weights}
    cards = {name: Card.read(path) for name, path in extracted.items()}
    return Material(data, store, sign.public_key_of(key), extracted, onnx, cards, mark)


def _images(data: Path, *, quick: bool) -> tuple[str, ...]:
    """Return the options that say what an archive is checked on."""
    if quick:
        return ("--images", str(data / "photos"), "--exports", "onnxruntime-fp32")
    return ("--data", str(data / "coco256" / "data.yaml"), "--accept-val")


def material_digest(data: Path, *, quick: bool) -> str:
    """Return what the archives and the graph depend on, without building them."""
    said = json.dumps([sorted(map(file_digest, _weights(data).values())), _code(), quick])
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _weights(data: Path) -> dict[str, Path]:
    return {name: data / "weights" / f"yolov8{name}.pt" for name in ("n", "s")}


def _archive(name: str, version: str = VERSION) -> str:
    return f"bench-{name}-{version}.mar"


def _build(name: str, checkpoint: Path, images: tuple[str, ...], store: Path, key: Path) -> None:
    """Archive a checkpoint as a user would; yolov8n a second time, as another version."""
    for old in store.glob(f"bench-{name}-*"):
        old.unlink()
    command = [sys.executable, "-m", "understudy", "release", "build"]
    command += ["--checkpoint", str(checkpoint), "--name", f"bench-{name}", "--version", VERSION]
    command += ["--role", "teacher" if name == "s" else "student"]
    command += ["--image-size", str(SIDE_PX), "--model-store", str(store), "--key", str(key)]
    command += images
    store.mkdir(parents=True, exist_ok=True)
    with (store.parent / f"{name}.log").open("wb") as log:
        subprocess.run(command, check=True, cwd=PROJECT_ROOT, stdout=log, stderr=log)
    if name == "n":
        _second_version(store, key)


def _second_version(store: Path, key: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        stage = Path(scratch) / "stage"
        with zipfile.ZipFile(store / _archive("n")) as packed:
            packed.extractall(stage)  # our own, made above
        for made in _MADE_ANEW:
            _remove(stage / made)
        card_file = stage / packing.CARD_NAME
        card = json_format.Parse(card_file.read_text(encoding="utf-8"), card_pb2.Card())
        card.version = SECOND_VERSION
        card.digests.clear()
        card.digests.update(packing.stage(stage, {}))
        card_file.write_text(as_json(card), encoding="utf-8")
        packing.publish(
            stage, name="bench-n", version=SECOND_VERSION, model_store=store, signing_key=key
        )


def _extracted(archive: Path, place: Path) -> Path:
    folder = place / "extracted" / archive.stem
    if not folder.exists():
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(partial)  # our own
        partial.rename(folder)
    return folder


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _code() -> str:
    return code_digest(_CODE_OF_ARCHIVES)


def code_digest(folders: tuple[str, ...]) -> str:
    """Return a digest of the Python and lock files of folders, relative to the project."""
    found = hashlib.sha256()
    for folder in folders:
        root = PROJECT_ROOT / folder
        for file in sorted((*root.rglob("*.py"), *root.rglob("*.lock"))):
            if ".venv" not in file.parts:
                found.update(str(file.relative_to(PROJECT_ROOT)).encode() + file.read_bytes())
    return found.hexdigest()[:12]
