"""Latencies as counts by bucket: mergeable by adding, quantiles within 2.5 percent.

Bucket i holds the seconds from 0.0001 * 1.05^i up to 0.0001 * 1.05^(i + 1); what is shorter counts
in bucket 0. A quantile is told as its bucket's geometric middle.
"""

import math
from collections.abc import Iterable, Mapping

_SHORTEST_S = 1e-4
_GROWTH = math.log(1.05)


def bucket_of(seconds: float) -> int:
    """Return the bucket that a latency counts in."""
    if seconds <= _SHORTEST_S:
        return 0
    return int(math.log(seconds / _SHORTEST_S) / _GROWTH)


def seconds_of(bucket: int) -> float:
    """Return the geometric middle of a bucket."""
    return _SHORTEST_S * math.exp(_GROWTH * (bucket + 0.5))


def merged(parts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Return the sum of histograms."""
    total: dict[int, int] = {}
    for part in parts:
        for bucket, count in part.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def quantile_s(counts: Mapping[int, int], share: float) -> float | None:
    """Return the latency that a share of the counts does not exceed; None of an empty histogram.

    Args:
        counts: By bucket.
        share: 0 to 1, as 0.99.
    """
    total = sum(counts.values())
    if total == 0:
        return None
    wanted, seen = share * total, 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted:
            break
    return seconds_of(bucket)
