"""Ingest: the records of an upload are stored, and it is answered with how many there were.

The table of routes says which decoder reads the bodies. Nearly all uploads come through the lane (`handlers/lane.py`);
those that want more of HTTP than Fluent Bit does come to the handler here.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from handlers import tcp
from handlers.base import Handler, log
from handlers.client import client_address
from handlers.errors import error_message, is_public, status_of
from handlers.intake import Abandoned, Intake
from handlers.request_head import content_length
from handlers.upload import Peer, Upload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tornado.http1connection import HTTP1Connection

    from handlers.intake import Receipt
    from handlers.services import Services
    from ingest.batch import Decoder


class Answer(NamedTuple):
    """The answer to an upload, in JSON."""

    status: HTTPStatus
    body: bytes


class Ingest:
    """Takes uploads to a path, whose bodies one decoder reads."""

    def __init__(self, services: Services, path: str, decode: Decoder) -> None:
        self.services = services
        self._path = path
        self._intake = Intake(services, decode)

    def begin(
        self,
        headers: Mapping[str, str],
        credentials: Sequence[str],
        peer: Peer,
        length: int | None,
    ) -> Upload:
        """Authenticate a sender by its Authorization fields; return what its body is to be added to.

        Nothing is raised: the body of a refused upload is dropped as it comes. The upload must be closed.
        """
        upload = Upload(self.services, headers, peer)
        upload.admit(self.services, credentials, length)
        return upload

    async def answer(self, upload: Upload) -> Answer | None:
        """Store the records of an upload that has arrived; return its answer, or None if nobody waits for one."""
        loop, statistics = asyncio.get_running_loop(), self.services.ingest
        began = loop.time()
        statistics.bytes += upload.body.size
        try:
            answer = self._accepted(await self._intake.store(upload))
        except Abandoned:
            statistics.abandoned += 1
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            answer = self._refusal(upload, error)
        statistics.seconds.observe(loop.time() - began)
        statistics.requests[answer.status] += 1
        return answer

    def _accepted(self, receipt: Receipt) -> Answer:
        """Return the answer to a body that is stored, and count its records."""
        statistics = self.services.ingest
        statistics.records += receipt.accepted
        statistics.skipped += receipt.skipped
        statistics.contradicted += receipt.contradicted
        statistics.duplicates += receipt.duplicate
        duplicate = b',"duplicate":true' if receipt.duplicate else b""
        return Answer(HTTPStatus.OK, b'{"accepted":%d,"skipped":%d%b}' % (receipt.accepted, receipt.skipped, duplicate))

    def _refusal(self, upload: Upload, error: Exception) -> Answer:
        """Return the answer to an error, and leave a trace of it."""
        status = status_of(error) or HTTPStatus.INTERNAL_SERVER_ERROR
        if is_public(error):
            # Fluent Bit sends the same body again after a 5xx, and drops it for good after nearly any 4xx.
            is_lost = status < HTTPStatus.INTERNAL_SERVER_ERROR
            forwarded, trusted = upload.headers.get("X-Forwarded-For", ""), self.services.settings.trusted_proxies
            self.services.throttle.note(
                f"ingest refused: Fluent Bit {'drops these lines for good' if is_lost else 'will send it again'}",
                level=logging.WARNING if is_lost else logging.INFO,
                status=int(status),
                error=str(error),
                client=client_address(upload.peer.address, forwarded, trusted),
            )
        elif status is HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("POST %s failed", self._path, exc_info=error)
        return Answer(status, msgspec.json.encode({"error": error_message(error, status)}))


class IngestHandler(Handler):
    """Takes the uploads that the lane leaves to Tornado: in chunks, after `Expect`, with a query, by HTTP/1.0."""

    def initialize(self, services: Services, ingest: Ingest | None = None) -> None:
        """Take what the table of routes hands over."""
        super().initialize(services)
        self._ingest = cast("Ingest", ingest)
        self._upload: Upload | None = None  # of a POST

    def prepare(self) -> None:
        """Get ready for the body of an upload."""
        super().prepare()
        if self.request.method == "POST":
            fields = self.request.headers
            self._upload = self._ingest.begin(
                dict(fields),
                fields.get_list("Authorization"),
                Peer(self.request.remote_ip or "", partial(_has_gone, self._connection), int),
                content_length(fields),
            )
            self.body = self._upload.body

    async def post(self) -> None:
        """Answer with how many records there were."""
        answer = await self._ingest.answer(cast("Upload", self._upload))
        if answer is None:
            self._connection.close()
            return
        self.set_status(answer.status)
        if answer.status is HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", self.scheme)
        self.finish(answer.body)

    def _release(self) -> None:
        super()._release()
        if self._upload is not None:
            self._upload.close()

    @property
    def _connection(self) -> HTTP1Connection:
        return cast("HTTP1Connection", self.request.connection)


def _has_gone(connection: HTTP1Connection) -> bool:
    stream = connection.stream
    return stream.closed() or tcp.peer_has_closed(stream.socket)
