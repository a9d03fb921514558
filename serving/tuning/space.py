"""What may be tried: variants of the card, and workers and threads that share the cores."""

from dataclasses import dataclass

# The batch that variants and layouts are compared with.
FIRST_BATCH = 4
# Where a full one of those takes longer than the target.
SMALLER_BATCH = 2
_MOST_WORKERS = 64
# Of one's own, of a worker that needs torch, 360 MiB; of others a third (decision 61).
WORKER_BYTES = 400 * 1024**2


@dataclass(frozen=True)
class Layout:
    """How a release's workers share the cores.

    Attributes:
        workers: Processes.
        threads: Of a run, in each.
    """

    workers: int
    threads: int


@dataclass(frozen=True)
class Space:
    """Everything that may be tried.

    Attributes:
        variants: The card's, the one that is likely the fastest first.
        layouts: The one that variants are compared on first.
        batch_sizes: In order.
        batch_delays_ms: Beside none at all, in order.
    """

    variants: tuple[str, ...]
    layouts: tuple[Layout, ...]
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    batch_delays_ms: tuple[int, ...] = (2, 5, 10)


def layouts(cores: int, memory_bytes: int, *, oversubscribe: bool = False) -> tuple[Layout, ...]:
    """Return ways to share the cores, in the order in which they are worth a try.

    One worker of all cores, a worker a core, what lies between; and, since TorchServe and the
    gateway want some of it too, one worker less than there are cores.

    Args:
        cores: That there are to share.
        memory_bytes: That workers may take.
        oversubscribe: Also give several workers twice their share each, so that the runs of one
            fill the gaps of another.
    """
    most = max(1, min(cores, _MOST_WORKERS, memory_bytes // WORKER_BYTES))
    counts = [1, most, *(2**power for power in range(1, cores.bit_length()) if 2**power < most)]
    found = [Layout(count, cores // count) for count in counts]
    if 1 < cores <= most + 1:
        found.append(Layout(cores - 1, 1))
    if oversubscribe:
        found += [Layout(one.workers, 2 * one.threads) for one in found if one.workers > 1]
    return tuple(dict.fromkeys(found))
