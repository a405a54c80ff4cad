"""A connection whose answers a test chooses: a stream without a server."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple

from buffer.jetstream.message import Encoder, Place, join

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.chunk import Chunk


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
        self._place = Place(b"writer-A", 0, 0)

    def store(self, number: int, chunk: Chunk) -> bytes:
        """Store a chunk as the next message of its writer."""
        self.stored[number] = join(self._place, Encoder().body(chunk))
        self._place = Place(b"writer-A", self._place.lines + chunk.count, number)
        return self.stored[number]

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

    async def ask(self, subject: str, payload: bytes, _: float) -> Answer | None:
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
        last = 0
        for number in numbers:
            if number not in self.unheard:
                headers = {"Nats-Sequence": str(number), "Nats-Last-Sequence": str(last)}
                self._expected[token](Answer(headers, copied[number]))
            self.unheard.discard(number)
            last = number
        end = {"Status": "204", "Nats-Num-Pending": "0", "Nats-Last-Sequence": str(last)}
        self._expected[token](Answer(end))
