"""A release's bill of materials: what it is made of, and what made it (CycloneDX 1.6, JSON).

It lies in the archive. The card holds its digest, and the signature covers both: nobody can change
what a release says it was made of. `python -m distill_jobs.release.sbom FILE` writes one of this
environment alone.
"""

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from distill_jobs.files import write_atomically
from distill_jobs.release.request import ReleaseRequest

SBOM_NAME = "sbom.cdx.json"
"""In the archive."""


def of_release(
    request: ReleaseRequest, checkpoint_sha256: str, digests: Mapping[str, str]
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


def of_environment() -> bytes:
    """Return the bill of what is installed here."""
    product = Component(
        name="understudy",
        version=metadata.version("understudy"),
        type=ComponentType.APPLICATION,
        bom_ref="understudy",
    )
    return _written(product, [one for one in installed() if one.name != product.name])


def installed() -> list[Component]:
    """Return every distribution of this environment, by name."""
    versions = {one.name.lower(): one.version for one in metadata.distributions()}
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


def _data(request: ReleaseRequest) -> Component:
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


if __name__ == "__main__":
    write_atomically(Path(sys.argv[1]), of_environment())
