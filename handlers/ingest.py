"""POST /_ingest/fluentbit: logs come in."""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.web import HTTPError

from buffer.chunk import pack
from handlers.base import Handler, status_of
from handlers.compression import decompress
from handlers.fluentbit import decode
from handlers.tokens import Unauthorized

# Runs of lines that are stored before others get their turn: a body may alternate between pods at every record.
_RUNS_A_TURN = 256


class IngestHandler(Handler):
    """Takes what Fluent Bit's `http` output sends."""

    def prepare(self) -> None:
        """Refuse who does not hold a secret."""
        super().prepare()
        self.max_body = self.services.settings.max_body_mib << 20
        if not self.services.ingest_secrets.accepts(self.request.headers.get_list("Authorization")):
            self.refuse(Unauthorized("the Authorization header must be: Token <INGEST_SECRET>"))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the error, and leave a trace of it: what Fluent Bit drops is lost."""
        super().write_error(status_code, **kwargs)
        error = kwargs["exc_info"][1]
        if status_of(error) is not None and not isinstance(error, HTTPError):
            self.services.complaints.note(f"ingest: refused with {self.get_status()}, {error}")

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
            for count, run in enumerate(batch.runs, start=1):
                if count % _RUNS_A_TURN == 0:
                    await asyncio.sleep(0)
                accepted += len(run.texts)
                await self.services.broker.publish(
                    pack(run.source, run.texts, run.times, run.streams, arrived=arrived, max_line_bytes=max_line_bytes)
                )
            skipped += batch.skipped
        if skipped:
            self.services.complaints.note("ingest: records without text or namespace skipped", skipped)
        self.finish(b'{"accepted":%d,"skipped":%d}' % (accepted, skipped))
