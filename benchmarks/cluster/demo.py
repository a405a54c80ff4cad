"""A rolling restart before your eyes: three nats-servers, three replicas, and a reader who misses nothing.

`make cluster-demo` runs it. A made-up shop posts through a balancer, as Fluent Bit would: what is not answered with 200
is sent again. A terminal follows its lines through the same balancer. Then each replica is stopped and started again.
In the end, what was read is compared with what was written.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import random
import secrets
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tornado.httpclient import AsyncHTTPClient, HTTPError

from benchmarks.cluster.balancer import Balancer
from benchmarks.cluster.processes import NotStarted, nats_servers, replicas
from cli.address import Address
from cli.credential import Signer
from cli.demo_shop import NAMESPACE, posts
from cli.output import Output
from cli.stream import Stream
from cli.style import Style, fitted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from benchmarks.cluster.processes import Process
    from cli.message import Message

_SECRETS = ("API_SECRET", "INGEST_SECRET", "JWT_SIGNING_KEY")
# Between two posts, two tries, two restarts; and how long the last lines may take.
_POST_SECONDS, _TRY_SECONDS, _CALM_SECONDS, _LAST_SECONDS = 0.15, 0.2, 3.0, 15.0


class Shop:
    """Writes until it is told to stop, and knows what it has written."""

    def __init__(self, address: Address, secret: str) -> None:
        self.written: list[str] = []
        self.again = 0  # tries that were not answered with 200
        self.closing = False
        self._address = address
        self._headers = {"Authorization": f"Token {secret}", "Content-Type": "application/json"}

    async def write(self) -> None:
        """Post one thing after the other until `closing` is set."""
        chance = random.Random()
        client = AsyncHTTPClient(force_instance=True)
        with contextlib.closing(client):
            for number, records in enumerate(posts(chance, lambda: dt.datetime.now(dt.UTC)), start=1):
                for record in records:
                    record["log"] = f"[{number}] {record['log']}"
                await self._post(client, json.dumps(records))
                self.written += [record["log"] for record in records]
                await asyncio.sleep(_POST_SECONDS)
                if self.closing:
                    return

    async def _post(self, client: AsyncHTTPClient, body: str) -> None:
        while True:
            with contextlib.suppress(HTTPError, OSError):
                await client.fetch(
                    f"{self._address.url}/_ingest/fluentbit", method="POST", headers=self._headers, body=body
                )
                return
            self.again += 1
            await asyncio.sleep(_TRY_SECONDS)


class Witness:
    """Shows lines, and keeps what it has shown."""

    def __init__(self, output: Output) -> None:
        self.read: list[str] = []
        self.gaps: list[str] = []
        self._output = output

    def show(self, text: str, messages: Sequence[Message]) -> None:
        """Show messages, and remember them."""
        self._output.show(text, messages)
        self.read += [message.log for message in messages if message.type == "line"]
        self.gaps += [message.gap() for message in messages if message.type == "gap"]


async def demo(rounds: int) -> int:
    """Run the demo with so many rolling restarts; return the exit code: 0 if nothing was lost or doubled."""
    held = {name: secrets.token_urlsafe(32) for name in _SECRETS}
    with tempfile.TemporaryDirectory() as folder:
        async with _cluster(Path(folder), {**held, "DRAIN_SECONDS": "1"}) as (logurts, address):
            shop = Shop(address, held["INGEST_SECRET"])
            witness = Witness(Output(sys.stdout.buffer, sys.stderr, fitted(Style(), sys.stdout.buffer, {})))
            stream = Stream(address, Signer(address, held["API_SECRET"], {"namespace": NAMESPACE}), {}, tell=_tell)
            reading = asyncio.create_task(stream.run(witness.show))
            writing = asyncio.create_task(shop.write())
            await asyncio.sleep(_CALM_SECONDS)
            for replica in list(logurts) * rounds:
                await _restart(replica)
                await asyncio.sleep(_CALM_SECONDS)
            shop.closing = True
            await writing
            await _until_read(shop, witness)
            reading.cancel()
            await asyncio.wait({reading})
    return _verdict(shop, witness)


@contextlib.asynccontextmanager
async def _cluster(folder: Path, settings: dict[str, str]) -> AsyncIterator[tuple[Sequence[Process], Address]]:
    nats = nats_servers(folder, 3)
    logurts = replicas(folder, nats, 3, settings)
    balancer = Balancer([one.port for one in logurts])
    try:
        await asyncio.gather(*[one.start() for one in nats])
        await asyncio.gather(*[one.start() for one in logurts])
        await balancer.start()
        names = ", ".join(f"{one.name} on port {one.port}" for one in (*nats, *logurts))
        _tell(f"{names}, and a balancer in front of the replicas on port {balancer.port}")
        yield logurts, Address.parse(f"http://127.0.0.1:{balancer.port}")
    finally:
        await balancer.close()
        await asyncio.gather(*[one.stop() for one in logurts])
        await asyncio.gather(*[one.stop() for one in nats])


async def _restart(replica: Process) -> None:
    _tell(f"{replica.name}: SIGTERM")
    await replica.stop()
    _tell(f"{replica.name}: gone; starting it again")
    await replica.start()
    _tell(f"{replica.name}: back")


async def _until_read(shop: Shop, witness: Witness) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_SECONDS):
            while len(witness.read) < len(shop.written):  # noqa: ASYNC110 - the stream tells of lines by a callback
                await asyncio.sleep(_TRY_SECONDS)


def _verdict(shop: Shop, witness: Witness) -> int:
    missing, more = _difference(shop.written, witness.read), _difference(witness.read, shop.written)
    _tell(
        f"{len(shop.written)} lines written, {shop.again} posts sent again; {len(witness.read)} lines read, "
        f"{missing} missing, {more} twice, {len(witness.gaps)} gaps"
    )
    return 1 if missing or more or witness.gaps else 0


def _difference(some: Sequence[str], others: Sequence[str]) -> int:
    return (Counter(some) - Counter(others)).total()


def _tell(sentence: str) -> None:
    print(f"--- {sentence}", file=sys.stderr, flush=True)


def main() -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="rolling restarts")
    try:
        return asyncio.run(demo(parser.parse_args().rounds))
    except NotStarted as error:
        print(f"cluster-demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
