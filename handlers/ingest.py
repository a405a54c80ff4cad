"""POST /_ingest/fluentbit: logs come in."""

from __future__ import annotations

import asyncio

from buffer.chunk import pack
from handlers.base import Handler
from handlers.compression import decompress
from handlers.fluentbit import decode
from handlers.tokens import Unauthorized


class IngestHandler(Handler):
    """Takes what Fluent Bit's `http` output sends."""

    def prepare(self) -> None:
        """Refuse who does not hold a secret."""
        super().prepare()
        self.max_body = self.services.settings.max_body_mib << 20
        if not self.services.ingest_secrets.accepts(self.request.headers.get_list("Authorization")):
            self.refuse(Unauthorized("the Authorization header must be: Token <INGEST_SECRET>"))

    async def post(self) -> None:
        """Store all usable records, then say how many there were. Bad ones never cost their neighbours."""
        headers, settings = self.request.headers, self.services.settings
        body = decompress(self.body(), headers.get("Content-Encoding", ""), self.max_body)
        self.hold(len(body))
        tag = headers.get("Fluent-Tag", "") or headers.get("X-Fluent-Tag", "")
        accepted = skipped = 0
        arrived, max_line_bytes = self.services.now(), settings.max_line_kib << 10
        for number, batch in enumerate(decode(body, tag)):
            if number:
                await asyncio.sleep(0)  # a broken body comes in pieces, so that others get their turn meanwhile
            for run in batch.runs:
                accepted += len(run.texts)
                await self.services.broker.publish(
                    pack(run.source, run.texts, run.times, run.streams, arrived=arrived, max_line_bytes=max_line_bytes)
                )
            skipped += batch.skipped
        self.finish(b'{"accepted":%d,"skipped":%d}' % (accepted, skipped))
