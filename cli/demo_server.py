"""The demo's server: a process that ends with the demo."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cli.address import Address
from cli.errors import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

_COMMAND = Path(__file__).parents[1] / "logurt.py"
_LISTENING = re.compile(r"listening on (http://[^\s,]+)")
_STOP_SECONDS = 5


class ServerEnded(Failure):
    """The demo's server has ended by itself. `said` is what it said last, and may be empty."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said

    def __str__(self) -> str:
        return f"the demo's server has ended: {self.said.strip() or 'it did not say why'}"


@contextlib.asynccontextmanager
async def running(secrets: Mapping[str, str]) -> AsyncIterator[tuple[asyncio.subprocess.Process, Address]]:
    """Run a server with these secrets on 127.0.0.1, on PORT or else a free port. Raises ServerEnded."""
    settings = {
        "PORT": os.environ.get("PORT") or "0",
        "ADDRESS": "127.0.0.1",
        "LOG_LEVEL": "info",
        "DRAIN_SECONDS": "0",
        "PUBLIC_URL": "",
    }
    # In a directory without a .env file, and in a session of its own: Ctrl-C is for this process, which then stops it.
    with tempfile.TemporaryDirectory() as empty:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            _COMMAND,
            "serve",
            env={**os.environ, **settings, **secrets},
            cwd=empty,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            yield process, await address_of(process)
        finally:
            await stop(process)


async def address_of(process: asyncio.subprocess.Process) -> Address:
    """Return where a server listens, once it does. Raises ServerEnded."""
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    said = ""
    async for line in process.stderr:
        said += line.decode(errors="replace")
        if match := _LISTENING.search(said):
            return Address.parse(match[1])
    await process.wait()
    raise ServerEnded(said)


async def watch(process: asyncio.subprocess.Process) -> None:
    """Pass on a server's warnings and errors. Raises ServerEnded when it has ended."""
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    last = ""
    async for line in process.stderr:
        last = line.decode(errors="replace")
        if " INFO " not in last:
            print(last, end="", file=sys.stderr, flush=True)
    await process.wait()
    raise ServerEnded(last)


async def stop(process: asyncio.subprocess.Process, seconds: float = _STOP_SECONDS) -> None:
    """End a server, by force if it takes longer than so many seconds."""
    # Never signal a process that has ended: that would reap it, and asyncio would miss its exit code.
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
