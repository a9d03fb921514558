"""How many frames a second a key, and each of its cameras, may have answered.

Each gateway process counts for itself: a camera's stream is at one of them, and a share of its rate
would be too little there. Who spreads a key's frames over N processes gets N times the rate, at
most.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from serving.dataplane.calls import Call
from serving.dataplane.token_bucket import TokenBucket
from serving.errors import RateLimited

Key = TypeVar("Key", bound=Hashable)

# What comes at once after a network's hiccup.
_BURST_S = 2.0
# Of 0.3 KB each; beyond, who was silent longest begins anew.
MOST_BUCKETS = 20_000


class Allowances:
    """Buckets of tokens, one a frame; costs a few microseconds where there is a limit.

    Args:
        camera_fps: Frames a second of each camera of each key; 0: no limit.
        refused: Called with "key" or "camera" for each frame that is refused.
        most: Buckets of keys, and of cameras, that are kept.
    """

    def __init__(
        self,
        *,
        camera_fps: float = 0.0,
        refused: Callable[[str], None] = lambda reason: None,
        most: int = MOST_BUCKETS,
    ) -> None:
        self._camera_fps = camera_fps
        self._refused = refused
        self._cameras = _Buckets[tuple[str, str]](most)
        self._keys = _Buckets[str](most)

    def take(self, call: Call, camera_id: str) -> None:
        """Take a frame off what its camera and its key may have.

        Args:
            call: Whose key it is, and what that may.
            camera_id: "" where the request names none: it counts for the key alone.

        Raises:
            RateLimited: There is nothing left now.
        """
        if self._camera_fps and camera_id:
            bucket = self._cameras.of((call.key_id, camera_id), self._camera_fps)
            self._take(bucket, "camera", self._camera_fps)
        if call.frames_per_second is not None:
            bucket = self._keys.of(call.key_id, call.frames_per_second)
            self._take(bucket, "key", call.frames_per_second)

    def _take(self, bucket: TokenBucket, whose: str, rate: float) -> None:
        if bucket.spend():
            return
        self._refused(whose)
        raise RateLimited(
            f"this {whose} may have {rate:g} frames a second answered by a gateway, and sends more",
            retry_after_s=bucket.wait_s(),
        )


class _Buckets(Generic[Key]):
    """Buckets by what they are of, the longest unused one given up first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_key: OrderedDict[Key, tuple[float, TokenBucket]] = OrderedDict()

    def of(self, key: Key, rate: float) -> TokenBucket:
        """Return the bucket; a new, full one where there is none of this rate."""
        known = self._by_key.get(key)
        if known is not None and known[0] == rate:
            self._by_key.move_to_end(key)
            return known[1]
        most = max(1.0, rate * _BURST_S)
        bucket = TokenBucket(share=0, most=most, begin=most, floor=most, fill_s=most / rate)
        self._by_key[key] = (rate, bucket)
        self._by_key.move_to_end(key)
        if len(self._by_key) > self._most:
            self._by_key.popitem(last=False)
        return bucket
