"""A release's bill of materials: what it is made of, and what made it (CycloneDX 1.6, JSON).

It lies in the archive. The card holds its digest, and the signature covers both: nobody can change
what a release says it was made of. `python -m distill_jobs.release.sbom FILE` writes one of this
environment alone; an image's, with `--debian`, lists the system's packages, too.
"""

import argparse
import platform
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from distill_jobs.files import write_atomically

if TYPE_CHECKING:  # the gateway's image, which has a bill too, lacks what a release needs
    from distill_jobs.release.request import ReleaseRequest

SBOM_NAME = "sbom.cdx.json"
"""In the archive."""


def of_release(
    request: "ReleaseRequest", checkpoint_sha256: str, digests: Mapping[str, str]
) -> bytes:
    """Return the bill of one release.

    Args:
        request: What was asked for.
        checkpoint_sha256: Of the network that was exported.
        digests: SHA-256 of the archive's files but the card and this one, by path.
    """
    lineage, licences = request.lineage, request.licences
    told = {
        "checkpoint_sha256": checkpoint_sha256,
        "job": lineage.job,
        "job_sha256": lineage.job_sha256,
        "licence_code": licences.code,
        "licence_weights": licences.weights,
        "licence_data": licences.data,
    }
    model = Component(
        name=request.name,
        version=request.version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=request.key,
        properties=[
            Property(name=f"understudy:{name}", value=value)
            for name, value in told.items()
            if value
        ],
    )
    made_from = []
    if lineage.data_lock_sha256:
        made_from.append(_data(request))
    if lineage.teacher_sha256:
        made_from.append(_teacher(lineage.teacher, lineage.teacher_sha256))
    files = [
        Component(name=path, type=ComponentType.FILE, bom_ref=f"file:{path}", hashes=_hash(sha256))
        for path, sha256 in sorted(digests.items())
        if path != SBOM_NAME
    ]
    return _written(model, [*files, *made_from, *installed()])


def of_environment(debian: Path | None = None) -> bytes:
    """Return the bill of what is installed here.

    Args:
        debian: `/var/lib/dpkg/status` of the system that it is installed in; None: Python's
            packages alone.
    """
    product = Component(
        name="understudy",
        version=metadata.version("understudy"),
        type=ComponentType.APPLICATION,
        bom_ref="understudy",
    )
    system = [] if debian is None else debian_packages(debian.read_text(encoding="utf-8"))
    return _written(product, [*(x for x in installed() if x.name != product.name), *system])


def installed() -> list[Component]:
    """Return every distribution of this environment, by name; none that lies elsewhere."""
    here = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    versions = {one.name.lower(): one.version for one in metadata.distributions(path=sorted(here))}
    return [
        Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"pypi:{name}",
            purl=PackageURL(type="pypi", name=name, version=version),
        )
        for name, version in sorted(versions.items())
    ]


def debian_packages(status: str) -> list[Component]:
    """Return the packages that a system of this very distribution has installed.

    Args:
        status: The text of `/var/lib/dpkg/status`.
    """
    release = platform.freedesktop_os_release()
    distribution = release["ID"]
    return [
        Component(
            name=one["Package"],
            version=one["Version"],
            type=ComponentType.LIBRARY,
            bom_ref=f"{distribution}:{one['Package']}:{one['Architecture']}",
            purl=PackageURL(
                type="deb",
                namespace=distribution,
                name=one["Package"],
                version=one["Version"],
                qualifiers={
                    "arch": one["Architecture"],
                    "distro": f"{distribution}-{release.get('VERSION_ID', 'unstable')}",
                },
            ),
        )
        for one in _stanzas(status)
        if one.get("Status", "").endswith(" installed")
    ]


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield the fields of each paragraph; lines that go on with the one before are left out."""
    for paragraph in text.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if line[:1].strip()]
        if lines:
            yield {key: value.strip() for key, _, value in (one.partition(":") for one in lines)}


def _data(request: "ReleaseRequest") -> Component:
    return Component(
        name=f"{request.data} (data.lock)",
        type=ComponentType.DATA,
        bom_ref="data.lock",
        hashes=_hash(request.lineage.data_lock_sha256),
    )


def _teacher(name: str, sha256: str) -> Component:
    return Component(
        name=name or "teacher",
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="teacher",
        hashes=_hash(sha256),
    )


def _hash(sha256: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)]


def _written(subject: Component, parts: Iterable[Component]) -> bytes:
    components = list(parts)
    needs = Dependency(
        ref=subject.bom_ref, dependencies=[Dependency(one.bom_ref) for one in components]
    )
    bom = Bom(
        components=components,
        serial_number=uuid5(NAMESPACE_URL, f"{subject.name}-{subject.version}"),
        metadata=BomMetaData(component=subject, timestamp=datetime.now(UTC).replace(microsecond=0)),
        dependencies=[needs],
    )
    return JsonV1Dot6(bom).output_as_string(indent=2).encode() + b"\n"


def main() -> None:
    """Write the bill of this environment."""
    parser = argparse.ArgumentParser(description="Write the bill of materials of what is here.")
    parser.add_argument("file", type=Path, help="CycloneDX 1.6, JSON")
    parser.add_argument("--debian", type=Path, help="list the packages of this dpkg status, too")
    given = parser.parse_args()
    write_atomically(given.file, of_environment(given.debian))


if __name__ == "__main__":
    main()
