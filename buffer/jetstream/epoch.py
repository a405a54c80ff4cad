"""The epoch: the name of the stream's numbering, kept in a message of the stream itself.

A replica that finds no such message writes one, unless there is one by then: of several, one succeeds, and the
others read what it has written. Wherever the stream's messages go, the epoch goes with them, so a stream that was lost,
purged or made anew never passes for the old one. (Its time of creation would: that does not change when all nodes of a
stream lose what they held.) The message is written again every now and then, since the stream drops its oldest messages
when it is full.

If it was dropped all the same, while the last message that was there a moment ago still is, the numbering is the same,
and keeps its name. Numbers that have gone back, as after a restored disk, need a new one too.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from buffer.jetstream.stream import StreamState

if TYPE_CHECKING:
    from collections.abc import Callable

    from nats.aio.msg import Msg

    from buffer.jetstream.connection import Connection
    from buffer.jetstream.stream import Stream
    from buffer.jetstream.subjects import Subjects

_ASK_SECONDS = 2.0
# How often the message is written again, by whichever replica comes first, unless it gets into the older half of the
# stream before. A full stream that drops half of what it holds between two checks loses its epoch.
_RENEW_SECONDS = 20
# For how long the numbers must have been seen to have gone back: a new leader may be a moment behind.
_BACK_SECONDS = 3.0


class _Body(msgspec.Struct):
    epoch: str


class _Held(NamedTuple):
    """The epoch message as the stream has it; number 0 if it has none."""

    number: int
    epoch: str


class _Stored(msgspec.Struct):
    seq: int = 0
    data: bytes = b""
    time: str = ""


class _Answer(msgspec.Struct):
    message: _Stored | None = None


class Ack(msgspec.Struct):
    """What the stream answers to a message."""

    seq: int = 0
    duplicate: bool = False


class Epoch:
    """What the epoch is. `changed(epoch)` is called when it is learnt, and when it has become another one.

    `highest` is the highest number that has been seen, `state` that of the stream when the leader was last asked;
    `monotonic` returns seconds.
    """

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        subjects: Subjects,
        changed: Callable[[str], None],
        monotonic: Callable[[], float],
    ) -> None:
        self.name = ""  # not known yet
        self.highest = 0
        self.state = StreamState()
        self._number = 0  # that of its message
        self._acked = (-1.0, 0)  # when the message was written last from here, and its number then
        self._written_at = 0.0
        self._witness = ("", 0, "")  # an epoch, the number of a message that the stream had then, and its time
        self._back_since: float | None = None  # when the numbers were first seen to have gone back
        self._connection = connection
        self._stream = stream
        self._subjects = subjects
        self._changed = changed
        self._monotonic = monotonic

    async def check(self) -> bool:
        """Ask the leader what the epoch is; tell whether it has answered. Raises StreamMissing."""
        highest = self.highest  # it may grow while the leader answers
        state = await self._stream.state()
        held = None if state is None else await self._read()
        if state is None or held is None:
            return False
        self.state = state
        if not held.number and await self._is_the_same():
            return await self._write(self.name, held)
        if not held.number or self._have_gone_back(state.last_seq < highest):
            return await self._write(secrets.token_hex(6), held)
        self._adopt(held)
        self._witness = (held.epoch, state.last_seq, state.last_ts)
        self.highest = max(self.highest, state.last_seq)
        is_old = held.number - state.first_seq < state.last_seq - held.number
        if is_old or self._monotonic() - self._written_at > _RENEW_SECONDS:
            return await self._write(held.epoch, held)
        return True

    def _have_gone_back(self, are_back: bool) -> bool:  # noqa: FBT001 - what is seen now
        """Tell whether the numbers have gone back for good."""
        now = self._monotonic()
        if not are_back:
            self._back_since = None
        elif self._back_since is None:
            self._back_since = now
        return self._back_since is not None and now - self._back_since >= _BACK_SECONDS

    async def _is_the_same(self) -> bool:
        """Tell whether the numbering is the same, although the message is gone."""
        epoch, number, time = self._witness
        msg = await self._ask({"seq": number})
        if epoch != self.name or msg is None or not msg.data:
            return False
        stored = msgspec.json.decode(msg.data, type=_Answer).message
        return stored is not None and stored.time == time

    async def _ask(self, request: object) -> Msg | None:
        subject = f"$JS.API.STREAM.MSG.GET.{self._stream.settings.name}"
        return await self._connection.ask(subject, msgspec.json.encode(request), _ASK_SECONDS, is_question=True)

    async def _read(self) -> _Held | None:
        """Return what the leader holds; None if it does not answer."""
        msg = await self._ask({"last_by_subj": self._subjects.epoch})
        if msg is None or not msg.data:
            return None
        try:
            stored = msgspec.json.decode(msg.data, type=_Answer).message
            if stored is None:
                return _Held(0, "") if b'"err_code":10037' in msg.data else None
            return _Held(stored.seq, msgspec.json.decode(stored.data, type=_Body).epoch)
        except msgspec.MsgspecError:
            return None

    async def written(self, since: float) -> int | None:
        """Return a number that the stream has given out since then; None if it takes nothing.

        What is read comes from one server, which may have been cut off; what is written has been agreed on.
        """
        if self._acked[0] < since:
            now = self._monotonic()
            if not await self._write(self.name, _Held(self._number, self.name)) or self._acked[0] < now:
                return None
        return self._acked[1]

    async def _write(self, epoch: str, held: _Held) -> bool:
        """Write the message unless it has changed meanwhile, and adopt what is there then; tell whether it is known."""
        headers = {
            "Nats-Expected-Last-Subject-Sequence": str(held.number),
            "Nats-TTL": "never",
            "Nats-Rollup": "sub",
        }
        body = msgspec.json.encode(_Body(epoch))
        began = self._monotonic()
        msg = await self._connection.ask(self._subjects.epoch, body, _ASK_SECONDS, headers)
        if msg is None or not msg.data:
            return False
        number = msgspec.json.decode(msg.data, type=Ack).seq
        if number:
            self._acked = (began, number)
        now = _Held(number, epoch) if number else await self._read()  # another replica was first
        if now is None or not now.number:
            return False
        self._adopt(now)
        return True

    def _adopt(self, held: _Held) -> None:
        if held.number != self._number:
            self._number = held.number
            self._written_at = self._monotonic()
        if held.epoch != self.name:
            self.name = held.epoch
            self.highest = held.number
            self._back_since = None
            self._changed(held.epoch)
