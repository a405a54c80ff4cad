"""GET /metrics: what is counted here, for Prometheus.

No label names a namespace, a pod or a client: the number of series does not grow with what is served.
"""

from __future__ import annotations

import platform
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from delivery.histogram import Histogram
from handlers.base import Handler
from protocol import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.core import Metric as Family

    from handlers.services import Services

Value = float | Histogram | Counter[Any]


class Metric(NamedTuple):
    """One metric: what it says, and where that is read.

    With labels, `read` returns a Counter whose keys have their values: one value, or a tuple of several.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    read: Callable[[Services], Value]
    labels: tuple[str, ...] = ()


METRICS = (
    Metric("logurt_ingest_requests", "counter", "requests with logs", lambda s: s.ingest.requests, ("status",)),
    Metric("logurt_ingest_records", "counter", "records stored", lambda s: s.ingest.records),
    Metric(
        "logurt_ingest_skipped",
        "counter",
        "records without text or namespace, and what could not be read",
        lambda s: s.ingest.skipped,
    ),
    Metric(
        "logurt_ingest_contradicted",
        "counter",
        "records that named another pod than their tag",
        lambda s: s.ingest.contradicted,
    ),
    Metric("logurt_ingest_duplicates", "counter", "requests that came again", lambda s: s.ingest.duplicates),
    Metric(
        "logurt_ingest_abandoned",
        "counter",
        "requests whose clients left before they were stored",
        lambda s: s.ingest.abandoned,
    ),
    Metric("logurt_ingest_bytes", "counter", "bytes of bodies, as they came", lambda s: s.ingest.bytes),
    Metric("logurt_ingest_seconds", "histogram", "from a complete body to its answer", lambda s: s.ingest.seconds),
    Metric("logurt_bodies_bytes", "gauge", "memory of bodies that are arriving", lambda s: s.bodies.taken),
    Metric(
        "logurt_broker_unavailable",
        "gauge",
        "1 while the broker takes no logs",
        lambda s: float(bool(s.broker.problem)),
    ),
    Metric(
        "logurt_broker_weak",
        "gauge",
        "1 while logs are taken but would not survive a restart as they should",
        lambda s: float(bool(s.broker.weakness)),
    ),
    Metric("logurt_namespaces", "gauge", "namespaces of which lines are held", lambda s: _store(s).namespaces),
    Metric("logurt_sources", "gauge", "sources of which lines are held", lambda s: _store(s).sources),
    Metric("logurt_lines", "gauge", "lines held", lambda s: _store(s).lines),
    Metric("logurt_bytes", "gauge", "memory of the lines held", lambda s: s.hub.store.bytes),
    Metric("logurt_lines_evicted", "counter", "lines that made room for others", lambda s: _store(s).lines_evicted),
    Metric("logurt_lines_expired", "counter", "lines that got too old", lambda s: _store(s).lines_expired),
    Metric(
        "logurt_readers",
        "gauge",
        "readers now",
        lambda s: Counter(session.transport.value for session in s.sessions),
        ("transport",),
    ),
    Metric("logurt_readers_behind", "gauge", "readers now that are not live", lambda s: s.hub.statistics().behind),
    Metric("logurt_readers_joined", "counter", "readers that came", lambda s: s.requests.readers, ("transport",)),
    Metric("logurt_readers_left", "counter", "readers that went", lambda s: s.requests.departures, ("why",)),
    Metric(
        "logurt_lines_delivered",
        "counter",
        "lines written to readers",
        lambda s: s.requests.lines + sum(session.lines for session in s.sessions),
    ),
    Metric(
        "logurt_sent_bytes",
        "counter",
        "bytes of lines and notices written to readers",
        lambda s: s.requests.bytes + sum(session.sent for session in s.sessions),
    ),
    Metric("logurt_gaps", "counter", "gaps reported to readers", lambda s: s.hub.gaps, ("reason",)),
    Metric("logurt_lines_lost", "counter", "lines reported to be lost", lambda s: s.hub.lost, ("reason",)),
    Metric(
        "logurt_delivery_seconds",
        "histogram",
        "from the first line of a flush to its last write",
        lambda s: s.hub.delays,
    ),
    Metric(
        "logurt_broker_events",
        "counter",
        "what has happened between the broker and its servers",
        lambda s: Counter(s.broker.counts),
        ("event",),
    ),
    Metric("logurt_tokens_signed", "counter", "tokens signed", lambda s: s.requests.tokens_signed),
    Metric(
        "logurt_refusals",
        "counter",
        "requests refused, those with logs aside",
        lambda s: s.requests.refusals,
        ("path", "status"),
    ),
    Metric(
        "logurt_loop_wait_seconds", "histogram", "how late the event loop was, ten times a second", lambda s: s.waits
    ),
    Metric(
        "logurt_build",
        "gauge",
        "1, with the version as a label",
        lambda _: Counter({(VERSION, platform.python_version()): 1}),
        ("version", "python"),
    ),
)


def _store(services: Services) -> Any:
    return services.hub.store.statistics()


class _Collector(Collector):
    """Reads the metrics whenever Prometheus asks."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Family]:
        """Yield all metrics."""
        return (_family(metric, metric.read(self._services)) for metric in METRICS)


def _family(metric: Metric, value: Value) -> Family:
    if isinstance(value, Histogram):
        return HistogramMetricFamily(metric.name, metric.meaning, list(_buckets(value)), value.sum)
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.meaning, labels=metric.labels)
    for key, count in value.items() if isinstance(value, Counter) else [((), value)]:
        family.add_metric([str(part) for part in (key if isinstance(key, tuple) else (key,))], count)
    return family


def _buckets(histogram: Histogram) -> Iterator[tuple[str, float]]:
    names = (*map(str, histogram.bounds), "+Inf")
    return zip(names, accumulate(histogram.counts), strict=True)


class MetricsHandler(Handler):
    """Answers Prometheus."""

    def get(self) -> None:
        """Answer with all metrics, in the text format that is asked for."""
        registry = CollectorRegistry()
        registry.register(_Collector(self.services))
        ProcessCollector(registry=registry)
        encode, content_type = choose_encoder(self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", content_type)
        self.finish(encode(registry))
