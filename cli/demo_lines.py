"""What the containers of the made-up shop write: JSON, logfmt, plain text, colours, and stack traces."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

_PRODUCTS = ("teapot", "hammock", "ukulele", "compass", "sourdough starter", "très petit café")
_AGENTS = ("Mozilla/5.0", "curl/8.14.1", "kube-probe/1.34")
_BURST_LINES = 120

_PYTHON_TRACE = """\
Unhandled exception while paying order {order}
Traceback (most recent call last):
  File "/app/checkout/payment.py", line 88, in pay
    receipt = await bank.charge(order.total, order.card)
  File "/app/checkout/bank.py", line 41, in charge
    raise BankTimeout(self.host, seconds)
checkout.bank.BankTimeout: bank.internal did not answer within 5 seconds"""

# Java's come line by line, unless Fluent Bit has been told to join them.
_JAVA_TRACE = """\
ERROR c.e.shop.search.Index - shard 2 does not answer
java.util.concurrent.TimeoutException: no answer within 2000 ms
\tat com.example.shop.search.Shard.query(Shard.java:118)
\tat com.example.shop.search.Index.find(Index.java:64)
\tat com.example.shop.search.Api.lambda$search$0(Api.java:37)
Caused by: java.net.SocketTimeoutException: Read timed out
\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:278)
\t... 9 more"""


class Record(NamedTuple):
    """What a container writes at once: its output, and the text."""

    stream: str
    text: str


def web(chance: random.Random) -> list[Record]:
    """Log a request in JSON, as a web server does."""
    product = chance.choice(_PRODUCTS)
    status = chance.choices((200, 304, 404, 500), (80, 12, 6, 2))[0]
    request = {
        "level": {404: "warn", 500: "error"}.get(status, "info"),
        "method": "GET",
        "path": f"/products/{product.replace(' ', '-')}",
        "status": status,
        "ms": round(chance.lognormvariate(3, 0.8), 1),
        "agent": chance.choice(_AGENTS),
    }
    return [Record("stderr" if status == 500 else "stdout", json.dumps(request, ensure_ascii=False))]


def checkout(chance: random.Random) -> list[Record]:
    """Log an order in two lines, or an exception of Python in one."""
    order, total = chance.randrange(10_000, 99_999), chance.randrange(500, 20_000) / 100
    if chance.random() < 0.12:
        return [Record("stderr", _PYTHON_TRACE.format(order=order))]
    return [
        Record("stdout", f"INFO  order {order}: {chance.randint(1, 4)} x {chance.choice(_PRODUCTS)}, {total:.2f} EUR"),
        Record("stdout", f"INFO  order {order}: paid"),
    ]


def payments(chance: random.Random) -> list[Record]:
    """Log a payment in logfmt."""
    order, ms = chance.randrange(10_000, 99_999), chance.randint(40, 900)
    if chance.random() < 0.25:
        attempt = chance.randint(1, 3)
        return [Record("stderr", f'level=warn msg="the bank is slow" order={order} attempt={attempt} ms={ms + 2000}')]
    return [
        Record("stderr", f'level=debug msg="asking the bank" order={order}'),
        Record("stderr", f'level=info msg="charged" order={order} ms={ms}'),
    ]


def search(chance: random.Random) -> list[Record]:
    """Log a search, or an exception of Java line by line."""
    if chance.random() < 0.15:
        return [Record("stdout", line) for line in _JAVA_TRACE.split("\n")]
    found, ms = chance.randint(0, 40), chance.randint(2, 60)
    return [Record("stdout", f"DEBUG c.e.shop.search.Api - {chance.choice(_PRODUCTS)!r}: {found} found in {ms} ms")]


def worker(chance: random.Random) -> list[Record]:
    """Log a job in the colours of a terminal."""
    job = chance.randrange(1_000, 9_999)
    if chance.random() < 0.2:
        return [Record("stderr", f"\x1b[33mWARN\x1b[0m  job {job}: mail server busy, trying again in 30 s")]
    done = (
        f"\x1b[1;32mDONE\x1b[0m  job \x1b[36m{job}\x1b[0m: receipt sent in \x1b[38;5;208m{chance.randint(20, 900)} ms"
    )
    return [Record("stdout", f"{done}\x1b[0m")]


def cache(chance: random.Random) -> list[Record]:
    """Log some housekeeping."""
    return [Record("stdout", f"{chance.randint(1, 9)} keys expired, {chance.randint(20, 60)} MiB used")]


def burst(chance: random.Random) -> list[Record]:
    """Say a lot at once, as a job does."""
    return [Record("stdout", line) for line in _imported(chance)]


def _imported(chance: random.Random) -> Iterator[str]:
    yield f"INFO  importing {_BURST_LINES} prices"
    for number in range(1, _BURST_LINES - 1):
        product, cents = chance.choice(_PRODUCTS), chance.randrange(99, 9999)
        is_odd = chance.random() < 0.02
        yield (
            f"WARN  price {number}: {product} has none"
            if is_odd
            else f"INFO  price {number}: {product} {cents / 100:.2f}"
        )
    yield "INFO  done"


def leaving(_: random.Random) -> list[Record]:
    """Say the last words of a pod that is replaced."""
    return [
        Record("stderr", '{"level": "warn", "msg": "SIGTERM: taking no more requests"}'),
        Record("stderr", '{"level": "info", "msg": "the last request is answered, bye"}'),
    ]


def arriving(_: random.Random) -> list[Record]:
    """Say the first words of the pod that takes its place."""
    return [
        Record("stdout", '{"level": "info", "msg": "starting", "version": "2.4.2"}'),
        Record("stdout", '{"level": "info", "msg": "listening", "port": 8080}'),
    ]
