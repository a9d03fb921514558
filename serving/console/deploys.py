"""What deploying an archive does, told in words before it is done."""

from pathlib import PurePath

from serving.api.admin_models import DeployRequest
from serving.errors import ReleaseBusy
from serving.store.values import Release, ReleaseKey
from serving.words import count

_KEPT = ("batch_size", "batch_delay_ms", "threads", "variant")


def release_in(path: str) -> ReleaseKey | None:
    """Return the release that an archive of this name holds; None where it is no such name."""
    try:
        return ReleaseKey.parse(PurePath(path).stem)
    except ValueError:
        return None


def consequences(wanted: DeployRequest, loaded: Release | None, backends: int) -> list[str]:
    """Return what a deploy will do, a sentence each; none: it is so already.

    Args:
        wanted: What is asked for.
        loaded: The release of the archive's name, where that is loaded.
        backends: How many there are.

    Raises:
        ReleaseBusy: It is loaded otherwise, and would be refused.
    """
    on = f"{count(wanted.workers or 1, 'worker')} of {count(backends, 'backend')}"
    if loaded is None:
        return [
            f"{wanted.path} is copied, and its signature is checked against the trusted keys.",
            f"It is loaded on {on}, and must answer its golden frames as it did where it was "
            "built.",
            "No camera moves: it answers cameras once an arm of a route has it.",
        ]
    for field in _KEPT:
        has, asks = getattr(loaded, field), getattr(wanted, field)
        if has != asks:
            raise ReleaseBusy(
                f"{field}: {loaded.key} is loaded with {has}, not {asks}; retire it first, or keep "
                "what it has"
            )
    if wanted.workers in {None, loaded.workers}:
        return []
    said = [
        f"{loaded.key} is loaded already: it goes from {loaded.workers} to {wanted.workers} "
        f"workers on each of {count(backends, 'backend')}. No camera moves.",
    ]
    if wanted.workers and wanted.workers < loaded.workers:
        said.append("Whatever moves to it later finds so many fewer, a rollback too.")
    return said
