"""Intake: a body becomes chunks, and the broker takes them. Bad records never cost their neighbours."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from buffer.chunk import Chunk, pack
from ingest.batch import Batch, Run
from ingest.compression import decompress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from handlers.body import Body
    from handlers.services import Services
    from handlers.turns import Turn
    from ingest.batch import Decoder

# For how long lines are packed before others get their turn, in seconds.
_TURN_SECONDS = 0.005

# A compressed body of this size can become a thousand times as large, in some 30 ms.
_LARGE_COMPRESSED = 32 * 1024
# The libraries let go of the interpreter meanwhile. One thread: only one body is ever inflated without being charged.
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


class Upload(NamedTuple):
    """A body that has arrived, and what is to be known of its request."""

    body: Body
    headers: Mapping[str, str]  # by their names in the spelling of `Content-Type`
    tag: str  # Fluent Bit's, or empty
    turn: Turn | None  # among those with its tag
    is_abandoned: Callable[[], bool]  # whether nobody waits for the answer any more


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
        duplicates, whole = self._services.duplicates, upload.body.whole()
        key = duplicates.key(whole, upload.tag)
        if duplicates.has_stored(key):
            return DUPLICATE
        data = await self._inflated(whole, upload.headers.get("Content-Encoding", ""))
        upload.body.hold(len(data))
        del whole
        batch = await self._decoded(data, upload)
        chunks = await self._packed(batch.runs)
        if upload.turn is not None and await upload.turn.come() and duplicates.has_stored(key):  # while this one waited
            return DUPLICATE
        if upload.is_abandoned():
            raise Abandoned
        self._services.sessions.check_not_stopping()  # it may have begun while this one was read
        # Without times of their own, equal records may well be different ones.
        with duplicates.storing(key if all("" not in run.times for run in batch.runs) else None):
            await self._services.broker.publish(chunks)
        if batch.skipped:
            self._services.throttle.note("records without text or namespace skipped", batch.skipped, tag=upload.tag)
        if batch.contradicted:
            self._services.throttle.note(
                "records that name another pod than their tag: the tag wins", batch.contradicted, tag=upload.tag
            )
        return Receipt(sum([chunk.count for chunk in chunks]), batch.skipped, batch.contradicted)

    async def _inflated(self, body: bytes, encoding: str) -> bytes:
        """Return a body without its Content-Encoding; one that may become large is inflated in a thread."""
        # Whatever the header claims: JSON is taken as it is, and gzip is known by its first bytes.
        if len(body) <= _LARGE_COMPRESSED or body[:1] in (b"{", b"["):
            return decompress(body, encoding, self._max_body_bytes)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_INFLATING, decompress, body, encoding, self._max_body_bytes)

    async def _decoded(self, data: bytes, upload: Upload) -> Batch:
        """Return all batches as one. Others get their turn between two of them."""
        batches = self._decode(data, upload.headers)
        first = next(batches, Batch([], 0))
        runs, skipped, contradicted = first.runs, first.skipped, first.contradicted
        for batch in batches:
            await asyncio.sleep(0)
            if upload.is_abandoned():
                raise Abandoned
            runs += batch.runs
            skipped += batch.skipped
            contradicted += batch.contradicted
        return Batch(runs, skipped, contradicted)

    async def _packed(self, runs: list[Run]) -> list[Chunk]:
        chunks, arrived, time = list[Chunk](), self._services.now(), asyncio.get_running_loop().time
        until = time() + _TURN_SECONDS
        for run in runs:
            for chunk in pack(*run, arrived=arrived, max_line_bytes=self._max_line_bytes):
                chunks.append(chunk)
                if time() > until:
                    await asyncio.sleep(0)
                    until = time() + _TURN_SECONDS
        return chunks
