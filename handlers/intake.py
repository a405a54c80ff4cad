"""Intake: a body becomes chunks, and the broker takes them. Bad records never cost their neighbours."""

from __future__ import annotations

import asyncio
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

# Runs of lines that are packed before others get their turn: a body may change pods with every record.
_RUNS_A_TURN = 256


class Receipt(NamedTuple):
    """What has become of a body's records; of a duplicate, nothing has."""

    accepted: int = 0
    skipped: int = 0
    duplicate: bool = False


class ClientGone(Exception):
    """The client has closed its connection before its body was stored: it will send it again."""


class Intake:
    """Stores bodies that one decoder reads."""

    def __init__(self, services: Services, decode: Decoder) -> None:
        self._services = services
        self._decode = decode

    async def store(self, body: Body, headers: Mapping[str, str], turn: Turn, is_gone: Callable[[], bool]) -> Receipt:
        """Store all usable records of a body, unless that has been done before; say how many there were.

        `is_gone` tells whether nobody waits for the answer any more. Raises what refuses the body.
        """
        whole, duplicates = body.whole(), self._services.duplicates
        key = duplicates.key(whole, tag_of(headers))
        if duplicates.has_stored(key):
            return Receipt(duplicate=True)
        data = decompress(whole, headers.get("Content-Encoding", ""), self._services.settings.max_body_mib << 20)
        body.hold(len(data))
        del whole
        batch = await self._decoded(data, headers, is_gone)
        chunks = await self._packed(batch.runs)
        await turn.come()
        if duplicates.has_stored(key):  # while this one waited
            return Receipt(duplicate=True)
        if is_gone():
            raise ClientGone
        # Without times of their own, equal records may well be different ones.
        with duplicates.storing(key if all("" not in run.times for run in batch.runs) else None):
            await self._services.broker.publish(chunks)
        if batch.skipped:
            self._services.throttle.note("ingest: records without text or namespace skipped", batch.skipped)
        return Receipt(sum([chunk.count for chunk in chunks]), batch.skipped)

    async def _decoded(self, data: bytes, headers: Mapping[str, str], is_gone: Callable[[], bool]) -> Batch:
        """Return all batches as one. Others get their turn between two of them."""
        runs, skipped = list[Run](), 0
        for number, batch in enumerate(self._decode(data, headers)):
            if number:
                await asyncio.sleep(0)
                if is_gone():
                    raise ClientGone
            runs += batch.runs
            skipped += batch.skipped
        return Batch(runs, skipped)

    async def _packed(self, runs: list[Run]) -> list[Chunk]:
        chunks, arrived = list[Chunk](), self._services.now()
        max_line_bytes = self._services.settings.max_line_kib << 10
        for count, run in enumerate(runs, start=1):
            if count % _RUNS_A_TURN == 0:
                await asyncio.sleep(0)
            chunks += pack(*run, arrived=arrived, max_line_bytes=max_line_bytes)
        return chunks


def tag_of(headers: Mapping[str, str]) -> str:
    """Return Fluent Bit's tag, if it sends it."""
    return headers.get("Fluent-Tag", "") or headers.get("X-Fluent-Tag", "")
