"""The command `demo`: a server of its own, a made-up application that writes logs, and a terminal that follows them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import random
import re
import secrets
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from cli.address import Address
from cli.credential import GivenToken, Signer, unreachable
from cli.demo_shop import NAMESPACE, posts
from cli.errors import Failure
from cli.signals import die_of
from cli.stream import Stream
from cli.tail import finish, output, screen, tell

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Coroutine, Mapping

_COMMAND = Path(__file__).parents[1] / "logurt.py"
_LISTENING = re.compile(r"listening on (http://[^\s,]+)")
_STOP_SECONDS = 5
# Between two containers that write something: about as fast as one can read.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 0.9


class ServerEnded(Failure):
    """The demo's server has ended by itself. `said` is what it said last, and may be empty."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said

    def __str__(self) -> str:
        return f"the demo's server has ended: {self.said.strip() or 'it did not say why'}"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `demo` to the commands."""
    parser = commands.add_parser(
        "demo",
        help="see it work: a server, a made-up application, and its lines in this terminal",
        description="Start a server on a free port of this machine (or PORT), have a made-up application write logs to "
        "it, and follow them in this terminal until Ctrl-C. Nothing has to be set up, and nothing is left behind.",
    )
    parser.set_defaults(run=run, output="text", timestamps=False, prefix=True, color="auto")
    parser.add_argument("--seconds", type=float, metavar="N", help="end after so many seconds")


def run(options: argparse.Namespace, known: Mapping[str, str]) -> int:
    """Run `demo`; return the exit code. Ctrl-C is the usual way to end it, and no failure."""
    signals: list[signal.Signals] = []
    code = finish(_until_signal(_demo(options, known), signals))
    if signals and signals[0] is not signal.SIGINT:
        die_of(signals[0])
    return code


async def _until_signal(demo: Coroutine[None, None, None], received: list[signal.Signals]) -> None:
    """Run the demo until it ends or a signal comes, and let it clean up; later signals change nothing."""
    loop, task = asyncio.get_running_loop(), asyncio.create_task(demo)

    def stop(number: signal.Signals) -> None:
        if not received:
            task.cancel()
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _demo(options: argparse.Namespace, known: Mapping[str, str]) -> None:
    names = ("API_SECRET", "INGEST_SECRET", "JWT_SIGNING_KEY")
    held = {name: secrets.token_urlsafe(32) for name in names}
    async with _server(held) as (process, address):
        token = await Signer(address, held["API_SECRET"], {"namespace": NAMESPACE}).token()
        _introduce(address, token)
        with output() as out:
            show = screen(out, options, known).show
            tail = Stream(address, GivenToken(token), {}, show, tell=tell).run()
            await _first_of(options.seconds, tail, _feed(address, held["INGEST_SECRET"]), _watch(process))


def _introduce(address: Address, token: str) -> None:
    """Say what is going on, in three lines."""
    for line in (
        f"A made-up shop writes logs into the namespace {NAMESPACE!r}, and {address.url} takes and serves them.",
        f"Read along from another terminal: curl -N '{address.link(token, prefix='true')}'",
        f"Here they come, as `python logurt.py tail {NAMESPACE}` would show them. Ctrl-C ends everything.",
    ):
        print(line, file=sys.stderr, flush=True)


async def _first_of(seconds: float | None, *parts: Coroutine[None, None, object]) -> None:
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


async def _feed(address: Address, secret: str) -> None:
    """Post what the application writes, at a human pace."""
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


async def _watch(process: asyncio.subprocess.Process) -> None:
    """Pass on what the server has to complain of. Raises ServerEnded."""
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    last = ""
    async for line in process.stderr:
        last = line.decode(errors="replace")
        if " INFO " not in last:
            print(last, end="", file=sys.stderr, flush=True)
    await process.wait()
    raise ServerEnded(last)


@contextlib.asynccontextmanager
async def _server(held: dict[str, str]) -> AsyncIterator[tuple[asyncio.subprocess.Process, Address]]:
    """Run a server with these secrets on 127.0.0.1, on PORT or else a free port. Raises ServerEnded."""
    settings = {
        "PORT": os.environ.get("PORT") or "0",
        "ADDRESS": "127.0.0.1",
        "LOG_LEVEL": "info",
        "DRAIN_SECONDS": "0",
    }
    # In a directory without a .env file, and in a session of its own: a Ctrl-C is for this process, which then ends it.
    with tempfile.TemporaryDirectory() as empty:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            _COMMAND,
            "serve",
            env={**os.environ, **settings, **held},
            cwd=empty,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield process, await _address_of(process)
        finally:
            await _stop(process)


async def _address_of(process: asyncio.subprocess.Process) -> Address:
    """Return where the server listens, once it does. Raises ServerEnded."""
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    said = ""
    async for line in process.stderr:
        said += line.decode(errors="replace")
        if match := _LISTENING.search(said):
            return Address.parse(match[1])
    await process.wait()
    raise ServerEnded(said)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End the server, by force if it takes too long."""
    # Not to a process that has ended: sending a signal looks after it too, and asyncio would miss its exit code.
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
