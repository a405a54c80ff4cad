"""Intake: a body becomes chunks, and the broker takes them. Bad records never cost their neighbours."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from buffer.chunk import Chunk, pack
from ingest.compression import decompress, decompress_quickly

if TYPE_CHECKING:
    from handlers.services import Services
    from handlers.upload import Upload
    from ingest.batch import Decoder

# Runs of lines that are packed before others get their turn: a body may change pods with every record.
_RUNS_A_TURN = 256

# The libraries let go of the interpreter while they inflate. One thread: only one body at a time is inflated without
# being charged.
_INFLATING = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inflate")


class Receipt(NamedTuple):
    """What has become of a body's records; of a duplicate, nothing has."""

    accepted: int = 0
    skipped: int = 0
    contradicted: int = 0  # whose metadata the tag has overruled
    duplicate: bool = False


DUPLICATE = Receipt(duplicate=True)


class Abandoned(Exception):
    """The client has closed its connection before its body was stored: it will send it again."""


class _Read(NamedTuple):
    """What has been read of a body, and whether all its lines have times."""

    chunks: list[Chunk]
    skipped: int
    contradicted: int
    has_times: bool


class Intake:
    """Stores bodies that one decoder reads."""

    def __init__(self, services: Services, decode: Decoder) -> None:
        self._services = services
        self._decode = decode
        self._max_body_bytes = services.settings.max_body_mib << 20
        self._max_line_bytes = services.settings.max_line_kib << 10

    async def store(self, upload: Upload) -> Receipt:
        """Store all usable records of a body, unless that has been done before; say how many there were.

        Raises what refuses the body.
        """
        upload.turn.arrived()
        duplicates, whole = self._services.duplicates, upload.body.whole()
        key = duplicates.key(whole, upload.tag)
        if duplicates.has_stored(key):
            return DUPLICATE
        encoding = upload.headers.get("Content-Encoding", "")
        data = decompress_quickly(whole, encoding, self._max_body_bytes)
        if data is None:
            inflating = asyncio.get_running_loop().run_in_executor
            data = await inflating(_INFLATING, decompress, whole, encoding, self._max_body_bytes)
        upload.body.hold(len(data))
        del whole
        read = await self._read(data, upload)
        await upload.turn.come()
        if duplicates.has_stored(key):  # while this one was inflated, was read, or waited
            return DUPLICATE
        # Whatever its client, if that has gone, sends again is known then, and not stored twice.
        is_known = duplicates.is_on and read.has_times
        if not is_known and upload.peer.has_gone():
            raise Abandoned
        self._services.sessions.check_not_stopping()  # it may have begun while this one was read
        storing = self._services.broker.publish(read.chunks, key.to_bytes(16) if is_known else b"")
        # Without times of their own, equal records may well be different ones.
        await (duplicates.remember(key, storing) if is_known else storing)
        throttle = self._services.throttle
        if read.skipped:
            throttle.note("records without text or namespace skipped", read.skipped, tag=upload.tag)
        if read.contradicted:
            throttle.note("lines whose metadata contradicts their tag", read.contradicted, tag=upload.tag)
        return Receipt(sum([chunk.count for chunk in read.chunks]), read.skipped, read.contradicted)

    async def _read(self, data: bytes, upload: Upload) -> _Read:
        """Decode and pack a body. One that takes several batches gives way to others between two of them.

        Each batch is packed before the next one is decoded: tiny lines take many times as much memory until they are.
        """
        chunks, skipped, contradicted, has_times = list[Chunk](), 0, 0, True
        arrived, is_first = self._services.now(), True
        for batch in self._decode(data, upload.headers):
            if not is_first:
                await self._services.gate.enter()
                if upload.peer.has_gone():
                    raise Abandoned
            is_first = False
            for count, run in enumerate(batch.runs, start=1):
                if count % _RUNS_A_TURN == 0:
                    await self._services.gate.enter()
                chunks += pack(*run, arrived=arrived, max_line_bytes=self._max_line_bytes)
                has_times = has_times and "" not in run.times
            skipped += batch.skipped
            contradicted += batch.contradicted
        return _Read(chunks, skipped, contradicted, has_times)
