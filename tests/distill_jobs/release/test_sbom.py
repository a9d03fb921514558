"""The bill of materials, in an archive and of an environment."""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from distill_jobs.progress import Silent
from distill_jobs.release.build import build_release
from distill_jobs.release.request import Lineage, ReleaseRequest
from distill_jobs.release.sbom import SBOM_NAME

Make = Callable[..., ReleaseRequest]
SHA = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("lock", "job", "teacher")}


def by_ref(bill: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["bom-ref"]: one for one in bill["components"]}


def sha256_of(component: dict[str, Any]) -> str:
    (digest,) = component["hashes"]
    return str(digest["content"])


def test_an_archive_says_what_it_is_made_of_and_the_card_vouches_for_it(request_for: Make) -> None:
    lineage = Lineage(
        teacher="teacher-1.0",
        teacher_sha256=SHA["teacher"],
        data_lock_sha256=SHA["lock"],
        job="cells",
        job_sha256=SHA["job"],
    )

    released = build_release(request_for(exports=("onnxruntime-fp32",), lineage=lineage), Silent())

    with zipfile.ZipFile(released.archive) as parts:
        text, files = parts.read(SBOM_NAME), set(parts.namelist())
        weights = hashlib.sha256(parts.read("student.onnx")).hexdigest()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.decode()) is None
    assert released.card.digests[SBOM_NAME] == hashlib.sha256(text).hexdigest()
    bill = json.loads(text)
    parts_by_ref = by_ref(bill)
    assert sha256_of(parts_by_ref["file:student.onnx"]) == weights
    assert sha256_of(parts_by_ref["data.lock"]) == SHA["lock"]
    assert sha256_of(parts_by_ref["teacher"]) == SHA["teacher"]
    assert parts_by_ref["pypi:torch"]["version"] == metadata.version("torch")
    listed = {ref.removeprefix("file:") for ref in parts_by_ref if ref.startswith("file:")}
    assert listed == files - {SBOM_NAME, "card.json", "MAR-INF/MANIFEST.json"}
    model = bill["metadata"]["component"]
    told = {one["name"]: one["value"] for one in model["properties"]}
    assert (model["type"], model["name"]) == ("machine-learning-model", released.card.name)
    assert told["understudy:job_sha256"] == SHA["job"]


def test_an_environment_is_listed_by_a_command(tmp_path: Path) -> None:
    file = tmp_path / "build" / "sbom.cdx.json"

    subprocess.run([sys.executable, "-m", "distill_jobs.release.sbom", file], check=True)

    text = file.read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"]["name"] == "understudy"
    assert by_ref(bill)["pypi:fastapi"]["purl"] == f"pkg:pypi/fastapi@{metadata.version('fastapi')}"
