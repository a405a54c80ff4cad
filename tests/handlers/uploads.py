"""Uploads as tests send them over one connection, and what has come of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.conftest import INGEST_SECRET
from tests.wire import Wire, request

if TYPE_CHECKING:
    from tests.conftest import LiveServer

PATH = "/_ingest/fluentbit"
TOKEN = f"Authorization: Token {INGEST_SECRET}"
STORED = {"accepted": 1, "skipped": 0}


def upload(text: str, *fields: str) -> bytes:
    body = json.dumps([{"log": text, "kubernetes": {"namespace_name": "myapp", "pod_name": "web-0"}}]).encode()
    return request(PATH, TOKEN, *fields, body=body)


async def answers(wire: Wire, count: int) -> list[Any]:
    return [(await wire.answer()).json for _ in range(count)]


async def backlog(live: LiveServer) -> list[str]:
    response = await live.fetch(f"/logs?token={await live.sign()}&follow=false&tail=all")
    return response.body.decode().split("\n")[:-1]
