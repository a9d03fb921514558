"""How an archive is to run, and the release that becomes of it."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from proto.wire.v1 import card_pb2
from serving.controlplane.archives import Archive
from serving.errors import InvalidField
from serving.store.values import AUTO, Release, ReleaseState


@dataclass(frozen=True)
class Wanted:
    """How an archive is to run.

    Attributes:
        workers: How many processes it runs on.
        batch_size: Largest batch TorchServe forms for it.
        batch_delay_ms: How long a worker waits for a batch to fill.
        threads: Of a run of its model; None: the workers share the cores.
        variant: Which of its card's variants; "auto": the fastest on each machine.
    """

    workers: int = 1
    batch_size: int = 8
    batch_delay_ms: int = 0
    threads: int | None = None
    variant: str = AUTO


def must_be_listed(archive: Archive, variant: str) -> None:
    """Check that an archive's card lists a variant.

    Raises:
        InvalidField: It is none of the card's, nor "auto".
    """
    listed = [one.name for one in archive.card.variants]
    if variant != AUTO and variant not in listed:
        raise InvalidField(
            "variant",
            f"variant: {archive.key} has no {variant!r}; its card lists {', '.join(listed)}, and "
            f"{AUTO} takes the fastest of them",
        )


def staged(archive: Archive, wanted: Wanted, known: Release | None) -> Release:
    """Return the release that a deploy begins with.

    Args:
        archive: What is deployed.
        wanted: How.
        known: The release of its name and version, where it was deployed before.
    """
    now = datetime.now(UTC)
    card = archive.card
    return Release(
        key=archive.key,
        sha256=archive.sha256,
        role="teacher" if card.role == card_pb2.ROLE_TEACHER else "student",
        class_names=tuple(card.class_names),
        operating_thresholds=tuple(card.post_processing.operating_thresholds),
        quality_measured=card.quality.measured,
        state=ReleaseState.STAGED,
        **asdict(wanted),
        created=now if known is None else known.created,
        updated=now,
    )
