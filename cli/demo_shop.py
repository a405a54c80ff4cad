"""A made-up shop whose pods write what real pods write, in the shape that Fluent Bit posts."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

NAMESPACE = "demo"

_PRODUCTS = ("teapot", "hammock", "ukulele", "compass", "sourdough starter", "très petit café")
_AGENTS = ("Mozilla/5.0", "curl/8.14.1", "kube-probe/1.34")

_TRACE = """\
Unhandled exception while paying order {order}
Traceback (most recent call last):
  File "/app/checkout/payment.py", line 88, in pay
    receipt = await bank.charge(order.total, order.card)
  File "/app/checkout/bank.py", line 41, in charge
    raise BankTimeout(self.host, seconds)
checkout.bank.BankTimeout: bank.internal did not answer within 5 seconds"""


class Record(NamedTuple):
    """What a container writes at once: its output, and the text."""

    stream: str
    text: str


class Container(NamedTuple):
    """A container of a pod, and what makes up its records."""

    app: str
    pod: str
    name: str
    write: Callable[[random.Random], list[Record]]


def _web(chance: random.Random) -> list[Record]:
    product = chance.choice(_PRODUCTS)
    status = chance.choices((200, 304, 404, 500), (80, 12, 6, 2))[0]
    request = {
        "level": "error" if status == 500 else "info",
        "method": "GET",
        "path": f"/products/{product.replace(' ', '-')}",
        "status": status,
        "ms": round(chance.lognormvariate(3, 0.8), 1),
        "agent": chance.choice(_AGENTS),
    }
    return [Record("stderr" if status == 500 else "stdout", json.dumps(request, ensure_ascii=False))]


def _checkout(chance: random.Random) -> list[Record]:
    order, total = chance.randrange(10_000, 99_999), chance.randrange(500, 20_000) / 100
    if chance.random() < 0.15:
        return [Record("stderr", _TRACE.format(order=order))]
    return [
        Record("stdout", f"INFO  order {order}: {chance.randint(1, 4)} x {chance.choice(_PRODUCTS)}, {total:.2f} EUR"),
        Record("stdout", f"INFO  order {order}: paid"),
    ]


def _worker(chance: random.Random) -> list[Record]:
    job = chance.randrange(1_000, 9_999)
    if chance.random() < 0.2:
        return [Record("stderr", f"\x1b[33mWARN\x1b[0m  job {job}: mail server busy, trying again in 30 s")]
    return [Record("stdout", f"\x1b[32mDONE\x1b[0m  job {job}: receipt sent in {chance.randint(20, 900)} ms")]


def _cache(chance: random.Random) -> list[Record]:
    return [Record("stdout", f"{chance.randint(1, 9)} keys expired, {chance.randint(20, 60)} MiB used")]


CONTAINERS = (
    Container("web", "web-7d4b9c6f5-x2x7k", "nginx", _web),
    Container("web", "web-7d4b9c6f5-lq9wd", "nginx", _web),
    Container("checkout", "checkout-5f6c8d7b9-4jn2p", "app", _checkout),
    Container("checkout", "checkout-5f6c8d7b9-4jn2p", "cache", _cache),
    Container("worker", "worker-0", "app", _worker),
)
# The web server has the most to say, the cache the least.
_WEIGHTS = (6, 6, 4, 1, 3)


def posts(chance: random.Random, now: Callable[[], dt.datetime]) -> Iterator[list[dict[str, Any]]]:
    """Yield, without end, what one container has just written, as Fluent Bit's output `http` in format json has it."""
    while True:
        container = chance.choices(CONTAINERS, _WEIGHTS)[0]
        metadata = _metadata(container)
        time = now().astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        yield [
            {
                "timestamp": time,
                # The container runtime's own, to the nanosecond.
                "time": f"{time[:-1]}{chance.randrange(1000):03}Z",
                "stream": record.stream,
                "_p": "F",
                "log": record.text,
                "kubernetes": metadata,
            }
            for record in container.write(chance)
        ]


def _metadata(container: Container) -> dict[str, Any]:
    """Return what Fluent Bit's filter `kubernetes` adds to each record."""
    digest = hashlib.sha256(f"{container.pod}/{container.name}".encode()).hexdigest()
    image = f"registry.example.com/shop/{container.name}:2.4.1"
    return {
        "pod_name": container.pod,
        "namespace_name": NAMESPACE,
        "pod_id": f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}",
        "labels": {"app": container.app, **_controller(container.pod)},
        "host": "node-a",
        "pod_ip": f"10.42.3.{int(digest[:2], 16)}",
        "container_name": container.name,
        "docker_id": digest,
        "container_hash": f"{image.partition(':')[0]}@sha256:{digest[::-1]}",
        "container_image": image,
    }


def _controller(pod: str) -> dict[str, str]:
    """Return the label that a StatefulSet puts on a pod, or the ReplicaSet of a Deployment, whose hash the name has."""
    name, _, suffix = pod.rpartition("-")
    if suffix.isdecimal():
        return {"statefulset.kubernetes.io/pod-name": pod}
    return {"pod-template-hash": name.rpartition("-")[2]}
