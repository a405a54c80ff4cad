"""A connection whose answers a test chooses: a stream without a server."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from buffer.jetstream.desk import Desk
from buffer.jetstream.follower import Follower
from buffer.jetstream.message import Encoder, Place, join
from buffer.jetstream.subjects import Subjects
from tests.buffer.jetstream.doubles import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.broker import Receiver
    from buffer.chunk import Chunk
    from buffer.source import Source


class Answer(NamedTuple):
    """What is answered: all that is looked at of a message of nats-py."""

    headers: dict[str, str]
    data: bytes = b""


class Answers:
    """Stands for a connection and for the one subject of the stream behind it.

    `stored` is what the leader has, `copied` what the server that answers batches has of it. Numbers in `unheard` get
    lost on their way, each once. `asked` notes what is asked, and `on_batch` is called before a batch is answered.
    """

    def __init__(self) -> None:
        self.stored: dict[int, bytes] = {}
        self.copied: dict[int, bytes] | None = None
        self.unheard: set[int] = set()
        self.is_led = True
        self.asked: list[str] = []
        self.on_batch: Callable[[], None] = lambda: None
        self.live: Callable[[Answer], None] = lambda _: None
        self._expected: dict[str, Callable[[Answer], None]] = {}
        self._places: dict[Source, Place] = {}

    def store(self, number: int, chunk: Chunk) -> bytes:
        """Store a chunk as the next message of its source."""
        place = self._places.get(chunk.source, Place(b"writer-A", 0, 0))
        self.stored[number] = join(place, Encoder().body(chunk))
        self._places[chunk.source] = Place(b"writer-A", place.lines + chunk.count, number)
        return self.stored[number]

    def purge(self) -> None:
        """Let go of everything; whoever writes begins anew."""
        self.stored.clear()
        self._places.clear()

    def hear(self, _: str, handler: Callable[[Answer], None]) -> None:
        self.live = handler

    def unhear(self, _: str) -> None:
        self.live = lambda _: None

    def expect(self, answered: Callable[[Answer], None]) -> str:
        token = str(len(self._expected))
        self._expected[token] = answered
        return token

    def forget(self, token: str) -> None:
        self._expected[token] = lambda _: None

    def send(self, _: str, payload: bytes, token: str) -> None:
        asyncio.get_running_loop().call_soon(self._answer_batch, json.loads(payload), token)

    async def ask(self, subject: str, payload: bytes, _: float, *, is_question: bool) -> Answer | None:  # noqa: ARG002 - the signature
        self.asked.append(subject)
        await asyncio.sleep(0)
        request = json.loads(payload)
        if not self.is_led:
            return None
        numbers = sorted(number for number in self.stored if number >= request.get("seq", 0))
        if not numbers:
            return Answer({}, b'{"error":{"err_code":10037}}')
        number = numbers[0] if "seq" in request else numbers[-1]
        message = {"seq": number, "data": b64encode(self.stored[number]).decode()}
        return Answer({}, json.dumps({"message": message}).encode())

    def _answer_batch(self, request: dict[str, int], token: str) -> None:
        self.on_batch()
        copied = self.stored if self.copied is None else self.copied
        numbers = sorted(number for number in copied if number >= request["seq"])
        if not numbers:
            self._expected[token](Answer({"Status": "404"}))
            return
        last, pending = 0, len(numbers) - request["batch"]
        for number in numbers[: request["batch"]]:
            if number not in self.unheard:
                headers = {"Nats-Sequence": str(number), "Nats-Last-Sequence": str(last)}
                self._expected[token](Answer(headers, copied[number]))
            self.unheard.discard(number)
            last = number
        end = {"Status": "204", "Nats-Num-Pending": str(max(0, pending)), "Nats-Last-Sequence": str(last)}
        self._expected[token](Answer(end))


class Bench:
    """A follower of namespace n, between answers and a receiver: `heard`, unless it is given one."""

    def __init__(self, receiver: Receiver | None = None) -> None:
        self.answers = Answers()
        self.heard = Recorder()
        self.checks = 0
        self.is_answered = True
        self.writes = 0
        self.given_out: int | None = None  # once something was written
        self.desk = Desk(
            cast("Any", self.answers),
            "TEST",
            Subjects("TEST"),
            receiver or self.heard,
            check_epoch=self.check_epoch,
            first=self.first,
            highest=self.highest,
            highest_known=lambda: 0,
            written=self.written,
        )
        self.follower = Follower("n", self.desk)

    async def first(self) -> int | None:
        return min(self.answers.stored, default=1)

    async def highest(self) -> int | None:
        return max(self.answers.stored, default=0)

    async def written(self, _: float) -> int | None:
        self.writes += 1
        return self.given_out

    async def check_epoch(self) -> bool:
        self.checks += 1
        return self.is_answered

    def say(self, number: int, previous: int, data: bytes) -> None:
        self.answers.live(Answer({"Nats-Sequence": str(number), "Nats-Last-Sequence": str(previous)}, data))
