"""The leader: the one server that certainly has all messages of the stream, and what it is asked about a subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from buffer.jetstream.connection import Connection

_ASK_SECONDS = 1.0
_NO_MESSAGE = 10037


class _Stored(msgspec.Struct):
    seq: int = 0


class _Refusal(msgspec.Struct):
    err_code: int = 0


class _Answer(msgspec.Struct):
    message: _Stored | None = None
    error: _Refusal | None = None


class Leader:
    """Asks the leader for numbers of messages. They are 0 where there is none, and None if it does not answer."""

    def __init__(self, connection: Connection, stream_name: str) -> None:
        self._connection = connection
        self._subject = f"$JS.API.STREAM.MSG.GET.{stream_name}"

    async def last(self, subject: str) -> int | None:
        """Return the number of the last message of a subject."""
        return await self._ask({"last_by_subj": subject})

    async def first_from(self, number: int, subject: str) -> int | None:
        """Return the number of the first message of a subject from a number on."""
        return await self._ask({"seq": number, "next_by_subj": subject})

    async def _ask(self, request: dict[str, object]) -> int | None:
        msg = await self._connection.ask(self._subject, msgspec.json.encode(request), _ASK_SECONDS, is_question=True)
        if msg is None or not msg.data:
            return None
        answer = msgspec.json.decode(msg.data, type=_Answer)
        if answer.message is not None:
            return answer.message.seq
        return 0 if answer.error is not None and answer.error.err_code == _NO_MESSAGE else None
