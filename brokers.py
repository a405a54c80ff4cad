"""Which broker the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buffer.broker import MemoryBroker
from buffer.disk import DiskBroker
from buffer.store import Limits, Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.broker import Broker
    from buffer.jetstream.broker import Options
    from settings import Settings

# What a message may have beside the text of its lines: their times, their source, and what compression may add.
_BESIDE_TEXT = 128 << 10
# A chunk of many lines has 64 Ki characters of text, of four bytes each at most.
_LARGEST_TEXT = 256 << 10


class Storage(NamedTuple):
    """Where lines get their numbers, and where they are held."""

    broker: Broker
    store: Store


def make_storage(settings: Settings, now: Callable[[], float], report: Callable[[str], None]) -> Storage:
    """Return a broker, not started yet, and the store that goes with it.

    `now` returns Unix seconds; `report(sentence)` is told what goes wrong later.
    """
    limits = Limits(
        settings.buffer_namespace_mib << 20, settings.buffer_total_mib << 20, settings.buffer_max_age_minutes * 60
    )
    if settings.nats_url:
        from buffer.jetstream.broker import JetStreamBroker  # noqa: PLC0415 - it takes 50 ms, and others do without

        return Storage(JetStreamBroker(_jetstream_options(settings), now), Store(limits))
    if settings.data_dir:
        disk = DiskBroker(settings.data_dir, key_seconds=settings.duplicate_window_seconds, now=now, report=report)
        return Storage(disk, Store(limits, disk.let_go))
    return Storage(MemoryBroker(), Store(limits))


def _jetstream_options(settings: Settings) -> Options:
    from buffer.jetstream.broker import Options  # noqa: PLC0415
    from buffer.jetstream.connection import Servers  # noqa: PLC0415
    from buffer.jetstream.stream import StreamSettings  # noqa: PLC0415

    return Options(
        Servers(settings.nats_url, settings.nats_credentials),
        StreamSettings(
            name=settings.nats_stream,
            replicas=settings.nats_replicas,
            max_bytes=settings.nats_max_gib << 30,
            max_age=settings.buffer_max_age_minutes * 60,
            namespace_bytes=settings.buffer_namespace_mib << 20,
            max_message_bytes=max(_LARGEST_TEXT, settings.max_line_kib << 10) + _BESIDE_TEXT,
        ),
    )
