"""Many processes' metrics as one text: every series says which process it is of."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

LABEL = "process"


class _Merged(Collector):
    """Families of the same name from several processes, as one family each."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._families: dict[str, Metric] = {}
        for process, text in texts.items():
            for family in text_string_to_metric_families(text):
                self._add(process, family)

    def _add(self, process: str, family: Metric) -> None:
        # Two versions of the program may disagree on a type while one follows the other.
        merged = self._families.setdefault(
            family.name, Metric(family.name, family.documentation, family.type)
        )
        if merged.type != family.type:
            return
        # A process's samples stay together and in order: a histogram's buckets must.
        for sample in family.samples:
            merged.samples.append(sample._replace(labels={LABEL: process, **sample.labels}))

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        return self._families.values()


def merge(texts: Mapping[str, str]) -> bytes:
    """Return one text of many.

    Args:
        texts: What each process answers, in Prometheus' text format, by its name.

    Raises:
        ValueError: A text is not in that format.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Merged(texts))
    return generate_latest(registry)
