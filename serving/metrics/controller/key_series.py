"""Series of the API keys, by scope: none is ever of one key."""

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge

from serving.store.values import ApiKey, Scope


class KeySeries:
    """How many keys are good, and when the next of them ends.

    Args:
        registry: Of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._keys = Gauge(
            "understudy_keys", "API keys that are good", ("scope",), registry=registry
        )
        self._next_expiry = Gauge(
            "understudy_key_next_expiry_timestamp_seconds",
            "When the next good key of the scope ends, Unix time; absent where none will",
            ("scope",),
            registry=registry,
        )

    def show(self, keys: Iterable[ApiKey], now: datetime) -> None:
        """Show the keys as they are at a time of the store's clock, UTC."""
        good = [key for key in keys if key.revoked is None and not _has_ended(key, now)]
        self.clear()
        for scope in Scope:
            mine = [key for key in good if key.scope is scope]
            self._keys.labels(scope.value).set(len(mine))
            ends = [key.expires.timestamp() for key in mine if key.expires is not None]
            if ends:
                self._next_expiry.labels(scope.value).set(min(ends))

    def clear(self) -> None:
        """Show none."""
        self._keys.clear()
        self._next_expiry.clear()


def _has_ended(key: ApiKey, now: datetime) -> bool:
    return key.expires is not None and key.expires <= now
