"""Request bodies as Fluent Bit posts them: records of about 1 KB, most of which is metadata."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import random
from typing import Any

import msgspec

# As many as a Helm chart sets. Each subset of them is another selector for the same pods.
LABELS = {
    "app": "web",
    "tier": "front-end",
    "team": "shop",
    "track": "stable",
    "region": "eu-1",
    "app.kubernetes.io/name": "web",
    "app.kubernetes.io/part-of": "shop",
    "app.kubernetes.io/instance": "web-1",
    "app.kubernetes.io/component": "api",
    "pod-template-hash": "7d4b9c6f5",
}
# A long line of an access log. Its WebSocket frame has a header of four bytes.
TEXT_BYTES = 147
FRAME_BYTES = TEXT_BYTES + 4

_STAMP = b"t=%020d;"
_NO_STAMP = "n=" + 20 * "0" + ";"
_FILLER = ' - "GET /products/{:x}?page={} HTTP/1.1" 200 {} 0.{:03} "https://shop.example/" "Mozilla/5.0"'
_START = dt.datetime(2025, 11, 22, 8, 15, 1, tzinfo=dt.UTC)


def record(namespace: str, pod: str, text: str, number: int = 0) -> dict[str, Any]:
    """Return a record of the container `app` of a pod; its time is that many milliseconds after the start."""
    time = _START + dt.timedelta(milliseconds=number)
    return {
        "date": time.timestamp(),
        "time": f"{time:%Y-%m-%dT%H:%M:%S.%f}790Z",
        "stream": "stdout",
        "_p": "F",
        "log": text,
        "kubernetes": {
            "pod_name": pod,
            "namespace_name": namespace,
            "pod_id": "a3d9e6f0-1b2c-4d5e-8f90-887720586313",
            "labels": LABELS,
            "annotations": {
                "prometheus.io/scrape": "true",
                "kubectl.kubernetes.io/restartedAt": "2025-11-20T09:12:44Z",
            },
            "host": "node-a",
            "pod_ip": "10.42.3.17",
            "container_name": "app",
            "docker_id": "54462e07d9fde9e16c6a609e07c1afb7214dcfbdcad168563c9a6fd3a68a9fc0",
            "container_hash": "registry.example.com/shop/web@sha256:9c1e7d5a9c1e7d5a9c1e7d5a9c1e7d5a9c1e7d5a9c1e7d5a",
            "container_image": "registry.example.com/shop/web:1.42.0",
        },
    }


def line(number: int = 0, size: int = TEXT_BYTES) -> str:
    """Return a text of that many bytes; each number gives another one."""
    chance = random.Random(number)
    filler = _FILLER.format(chance.getrandbits(64), number % 97, chance.randrange(90000), chance.randrange(1000))
    return f"{_NO_STAMP} {number:08d}{filler}".ljust(size, ".")[:size]


def records(namespace: str, pod: str, count: int, size: int = TEXT_BYTES) -> list[dict[str, Any]]:
    """Return the records of one request: consecutive lines of one container."""
    return [record(namespace, pod, line(number, size), number) for number in range(count)]


def as_json(batch: list[dict[str, Any]]) -> bytes:
    """Return a body in the format `json`."""
    return json.dumps(batch, separators=(",", ":")).encode()


def as_messagepack(batch: list[dict[str, Any]]) -> bytes:
    """Return a body in the format `msgpack`: entries with nothing between them, the time as extension type 0."""
    entries = []
    for item in batch:
        members = {key: value for key, value in item.items() if key != "date"}
        seconds = int(item["date"])
        event_time = msgspec.msgpack.Ext(0, seconds.to_bytes(4) + (123_457_790).to_bytes(4))
        entries.append(msgspec.msgpack.encode([[event_time, {}], members]))
    return b"".join(entries)


def compressed(body: bytes) -> bytes:
    """Return the body as Fluent Bit compresses it with gzip."""
    return gzip.compress(body, compresslevel=6)


class Stamped:
    """A body to be sent again and again, each time with another time in its last line."""

    def __init__(self, namespace: str, pod: str, count: int) -> None:
        body = as_json(records(namespace, pod, count))
        self._head, _, self._tail = body.rpartition(_NO_STAMP.encode())
        self.count = count

    def body(self, nanoseconds: int) -> bytes:
        """Return the body with this time in its last line."""
        return self._head + _STAMP % nanoseconds + self._tail
