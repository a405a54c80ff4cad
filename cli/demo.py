"""The command `demo`: a server of its own, a made-up shop that writes logs, and a terminal that follows them."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import random
import secrets
import signal
import sys
from typing import TYPE_CHECKING

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from cli import demo_server
from cli.command import finish, open_stdout, tell
from cli.credential import GivenToken, Signer
from cli.demo_shop import NAMESPACE, posts
from cli.output import Output
from cli.request import unreachable
from cli.signals import die_of, until_signal
from cli.stream import Stream
from cli.style import Style, fitted

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from cli.address import Address
    from cli.credential import Signed

# Between two containers that write something: about as fast as one can read.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 0.9
# How much of the past is there when it begins, and how many lines of it this terminal shows.
_PAST_SECONDS = 240.0
_BACKLOG = "20"


_EXAMPLES = """\
examples:
  python logurt.py demo                    until Ctrl-C
  python logurt.py demo --seconds 30       for half a minute
  PORT=8080 python logurt.py demo          on a port that you choose
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `demo` to the commands."""
    parser = commands.add_parser(
        "demo",
        help="see it work: a server, a made-up shop, and its lines in this terminal",
        description="Start a server on a free port of this machine (or PORT), have a made-up shop write\n"
        "logs to it, and follow them in this terminal until Ctrl-C. Nothing has to be set up,\n"
        "and nothing is left behind.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--seconds", type=float, metavar="N", help="end after so many seconds")


def run(options: argparse.Namespace, variables: Mapping[str, str]) -> int:
    """Run `demo`; return the exit code. Ctrl-C is the usual way to end it, and no failure."""
    received: list[signal.Signals | None] = []

    async def demo() -> None:
        received.append(await until_signal(_demo(options, variables)))

    code = finish(demo())
    if received and received[0] not in {None, signal.SIGINT}:
        die_of(received[0])
    return code


async def _demo(options: argparse.Namespace, variables: Mapping[str, str]) -> None:
    held = {name: secrets.token_urlsafe(32) for name in ("API_SECRET", "INGEST_SECRET", "JWT_SIGNING_KEY")}
    async with demo_server.running(held) as (process, address):
        signed = await Signer(address, held["API_SECRET"], {"namespace": NAMESPACE}).sign()
        print(introduction(address, signed), file=sys.stderr, flush=True)
        with open_stdout() as stdout:
            output = Output(stdout, sys.stderr, fitted(Style(), stdout, variables))
            shop = Shop(address, held["INGEST_SECRET"])
            try:
                await shop.recall()
                tail = Stream(address, GivenToken(signed.token), {"tail": [_BACKLOG]}, tell=tell).run(output.show)
                await first_of(options.seconds, tail, shop.run(), demo_server.watch(process))
            finally:
                shop.close()


def introduction(address: Address, signed: Signed) -> str:
    """Return what is going on, in a few lines."""
    view = address.resolve(signed.view)
    embedding = view.replace("/view#", "/view/embedding.html#")
    return (
        f"A made-up shop writes logs into the namespace {NAMESPACE!r}, and {address.url} takes and serves them.\n"
        f"Open them in a browser: {view}\n"
        f"The same in a page of somebody else: {embedding}\n"
        f"Read along from another terminal: curl -N '{address.link(signed.token, prefix='true')}'\n"
        f"Here they come, as `python logurt.py tail {NAMESPACE}` would show them. Ctrl-C ends everything."
    )


async def first_of(seconds: float | None, *parts: Coroutine[None, None, object]) -> None:
    """Run parts side by side until one ends or fails, or the time is over; then end the others."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


class Shop:
    """What the shop writes, posted at a human pace. To be closed."""

    def __init__(self, address: Address, secret: str, chance: random.Random | None = None) -> None:
        self._address = address
        self._client = AsyncHTTPClient(force_instance=True)
        self._headers = {"Authorization": f"Token {secret}", "Content-Type": "application/json"}
        self._chance = chance or random.Random()  # noqa: S311 - no secret
        self._behind = 0.0  # seconds by which it is still writing of the past
        self._posts = posts(self._chance, lambda: dt.datetime.now(dt.UTC) - dt.timedelta(seconds=self._behind))

    async def recall(self, seconds: float = _PAST_SECONDS) -> None:
        """Post at once what it has written for so many seconds. Raises Unreachable."""
        self._behind = seconds
        while self._behind > 0:
            await self._post()
            self._behind -= self._pause()
        self._behind = 0

    async def run(self) -> None:
        """Post on until cancelled. Raises Unreachable."""
        while True:
            await self._post()
            await asyncio.sleep(self._pause())

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _pause(self) -> float:
        return self._chance.uniform(_SHORTEST_PAUSE, _LONGEST_PAUSE)

    async def _post(self) -> None:
        url, body = f"{self._address.url}/_ingest/fluentbit", json.dumps(next(self._posts))
        try:
            await self._client.fetch(url, method="POST", headers=self._headers, body=body, user_agent="Fluent-Bit")
        except (OSError, HTTPClientError) as error:
            raise unreachable(self._address, error) from None
