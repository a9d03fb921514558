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


STATUS = """\
Package: libssl3
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 3.0.17-1~deb12u2
Description: Secure Sockets Layer toolkit - shared libraries
 This is part of the OpenSSL project.
 Version: 9, says a line that goes on

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1.0
"""


def test_an_image_s_bill_has_the_system_s_packages(tmp_path: Path) -> None:
    (tmp_path / "status").write_text(STATUS)
    file = tmp_path / "sbom.cdx.json"

    subprocess.run(
        [
            *(sys.executable, "-m", "distill_jobs.release.sbom", file),
            *("--debian", tmp_path / "status"),
        ],
        check=True,
    )

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(file.read_text()) is None
    bill = json.loads(file.read_text())
    (system,) = (one for one in bill["components"] if one["name"] in {"libssl3", "gone"})
    assert system["version"] == "3.0.17-1~deb12u2"
    assert system["purl"].startswith("pkg:deb/")
    assert "libssl3@3.0.17-1~deb12u2?arch=amd64&distro=" in system["purl"]


def test_a_bill_is_written_where_nothing_of_a_release_is_installed(tmp_path: Path) -> None:
    """As in the gateway's image."""
    blocked = "cv2 matplotlib numpy onnx onnxruntime openvino torch ultralytics"
    code = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({blocked.split()!r}))
sys.argv = ["sbom", {str(tmp_path / "sbom.cdx.json")!r}]
runpy.run_module("distill_jobs.release.sbom", run_name="__main__")
"""

    subprocess.run([sys.executable, "-c", code], check=True)

    assert "fastapi" in (tmp_path / "sbom.cdx.json").read_text()
