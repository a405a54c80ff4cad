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
            tail = Stream(address, GivenToken(signed.token), {}, tell=tell).run(output.show)
            feeding = feed(address, held["INGEST_SECRET"])
            await first_of(options.seconds, tail, feeding, demo_server.watch(process))


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


async def feed(address: Address, secret: str) -> None:
    """Post what the shop writes, at a human pace. Raises Unreachable."""
    client = AsyncHTTPClient(force_instance=True)
    headers = {"Authorization": f"Token {secret}", "Content-Type": "application/json", "User-Agent": "Fluent-Bit"}
    chance = random.Random()  # noqa: S311 - no secret
    written = posts(chance, lambda: dt.datetime.now(dt.UTC))
    try:
        while True:
            body = json.dumps(next(written))
            await client.fetch(f"{address.url}/_ingest/fluentbit", method="POST", headers=headers, body=body)
            await asyncio.sleep(chance.uniform(_SHORTEST_PAUSE, _LONGEST_PAUSE))
    except (OSError, HTTPClientError) as error:
        raise unreachable(address, error) from None
    finally:
        client.close()
