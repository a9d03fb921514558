"""A job's figures on their way to Prometheus: pushed, for a job may end before anybody asks."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit, urlunsplit

from distill_jobs.errors import JobError
from distill_jobs.progress import Reporter

_VARIABLE = "UNDERSTUDY_PUSHGATEWAY"
_JOB = "understudy_job"
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Figures:
    """One series family that is about to be pushed.

    Attributes:
        name: Without its prefix, with its unit.
        text: What it is.
        values: By the label's value; of a single series by "".
        label: Its name; "" where the series has none.
    """

    name: str
    text: str
    values: Mapping[str, float]
    label: str = ""

    @classmethod
    def one(cls, name: str, text: str, value: float) -> "Figures":
        """Return a single series without labels."""
        return cls(name, text, {"": value})


def pushgateway_address() -> str | None:
    """Return where the Pushgateway is; None where nobody named one.

    Raises:
        JobError: What is named is no address.
    """
    named = os.environ.get(_VARIABLE, "").strip()
    if not named:
        return None
    address = named if "://" in named else f"http://{named}"
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise JobError(
            f"{_VARIABLE}: {parts.scheme}://{parts.hostname or ''} is no Pushgateway's address; "
            "give HOST:PORT, or http(s)://USER:PASSWORD@HOST:PORT"
        )
    return address


@dataclass
class Pushgateway:
    """Pushes what belongs to one job, and waits for nobody: a push that fails is noted once.

    A series stays there until a later run of a job of the same name replaces it.

    Args:
        address: http(s)://HOST:PORT, a user and password before it where it asks for them.
        distillation: The job's name; it becomes a label of every series.
        reporter: Told of the first push that fails.
    """

    address: str
    distillation: str
    reporter: Reporter
    _failed: bool = field(default=False, init=False)

    def push(self, figures: Iterable[Figures], role: str | None = None) -> None:
        """Replace series; those of other names stay as they are.

        Args:
            figures: What to push.
            role: Whose, "teacher" or "student"; None: the job's own.
        """
        from prometheus_client import CollectorRegistry, Gauge, pushadd_to_gateway  # noqa: PLC0415

        registry = CollectorRegistry()
        for one in figures:
            labels = (one.label,) if one.label else ()
            gauge = Gauge(f"{_JOB}_{one.name}", one.text, labels, registry=registry)
            for label, value in one.values.items():
                (gauge.labels(label) if labels else gauge).set(value)
        group = {"distillation": self.distillation} | ({"role": role} if role else {})
        address, handler = self._way()
        try:
            pushadd_to_gateway(address, _JOB, registry, group, timeout=_PATIENCE_S, handler=handler)
        except OSError as error:
            self._note(error)

    def _way(self) -> tuple[str, Callable[..., Callable[[], None]]]:
        """Return the address without its user, and what presents that one."""
        from prometheus_client.exposition import (  # noqa: PLC0415
            basic_auth_handler,
            default_handler,
        )

        parts = urlsplit(self.address)
        user, _, place = parts.netloc.rpartition("@")
        address = urlunsplit(parts._replace(netloc=place))
        if not user:
            return address, default_handler
        present = partial(
            basic_auth_handler, username=parts.username or "", password=parts.password or ""
        )
        return address, present

    def _note(self, error: OSError) -> None:
        if self._failed:
            return
        self._failed = True
        place = urlsplit(self.address).netloc.rpartition("@")[2]
        self.reporter.note(
            f"the Pushgateway {place} took no figures ({error}); the job goes on, and tries again"
        )
