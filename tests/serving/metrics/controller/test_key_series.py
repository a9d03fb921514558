from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest

from serving.access.keys import mint
from serving.metrics.controller.key_series import KeySeries
from serving.store.values import ApiKey, Scope

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def key(scope: Scope, days: float | None = None, *, revoked: bool = False) -> ApiKey:
    expires = None if days is None else NOW + timedelta(days=days)
    made, _ = mint("gate-7", scope, expires=expires)
    return made.model_copy(update={"revoked": NOW if revoked else None})


def test_the_next_end_of_a_good_key_is_told_by_scope_and_no_key_is_named() -> None:
    registry = CollectorRegistry()
    keys = [
        key(Scope.DETECT, 30),
        key(Scope.DETECT, 3),
        key(Scope.DETECT, 1, revoked=True),
        key(Scope.DETECT, -1),
        key(Scope.ADMIN),
    ]

    KeySeries(registry).show(keys, NOW)

    def value(name: str, scope: Scope) -> float | None:
        return registry.get_sample_value(name, {"scope": scope.value})

    assert [value("understudy_keys", scope) for scope in Scope] == [2, 0, 1]
    expiry = "understudy_key_next_expiry_timestamp_seconds"
    assert value(expiry, Scope.DETECT) == (NOW + timedelta(days=3)).timestamp()
    assert value(expiry, Scope.ADMIN) is None
    text = generate_latest(registry).decode()
    assert "gate-7" not in text
    assert not any(one.id in text for one in keys)
