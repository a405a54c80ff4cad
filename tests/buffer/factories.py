"""Sources, chunks and selectors with as little said of them as a test needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from buffer.chunk import Chunk
from buffer.selector import Names, Operator, Requirement, Selector, sorted_requirements
from buffer.source import Source, sorted_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

EPOCH = "e1"
ARRIVED = 1_700_000_000.0


def source(namespace: str = "n", pod: str = "web-0", container: str = "app", owner: str = "", **labels: str) -> Source:
    return Source(namespace, pod, container, sorted_labels(labels), owner)


def chunk(
    seq: int,
    *texts: str,
    writer: Source | None = None,
    stream: str | None = "stdout",
    streams: Sequence[str | None] | None = None,
    times: Sequence[str] | None = None,
    arrived: float = ARRIVED,
) -> Chunk:
    streams = [stream] * len(texts) if streams is None else streams
    made = Chunk(writer or source(), texts, [""] * len(texts) if times is None else times, streams, arrived)
    made.seq, made.epoch = seq, EPOCH
    return made


def selector(
    namespace: str = "n",
    *,
    pod: str | None = None,
    container: str | None = None,
    workload: str | None = None,
    labels: Sequence[Requirement] = (),
    **values: Any,
) -> Selector:
    """A selector of names, prefixes (`web-*`) or several of either (`a,b`); other keywords are labels with values."""
    equalities = [Requirement(key, Operator.IN, names(value)) for key, value in values.items()]
    return Selector(
        namespace,
        None if pod is None else names(pod),
        None if container is None else names(container),
        sorted_requirements([*labels, *equalities]),
        () if workload is None else (names(workload),),
    )


def names(patterns: str) -> Names:
    return Names.of(*patterns.split(","))
