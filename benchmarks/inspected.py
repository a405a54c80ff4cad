"""The server, which also takes two signals: on SIGUSR1 it logs what it holds, on SIGUSR2 its wall clock goes forward.

What it holds is a line with a JSON object.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.netutil import bind_sockets

import environment
import settings as configuration
from fair_selector import new_event_loop
from server import Server

if TYPE_CHECKING:
    from handlers.services import Services

# More than a minute, which is the shortest age at which lines expire; less than what tokens of benchmarks live.
_STEP_SECONDS = 120
# The rooms whose objects are counted.
_OURS = ("buffer.", "delivery.", "handlers.", "ingest.")


def held(services: Services) -> dict[str, Any]:
    """Return counts of everything that comes and goes, and how many objects of each of our classes are alive."""
    store = services.hub.store
    gc.collect()
    objects = Counter(type(one).__name__ for one in gc.get_objects() if str(type(one).__module__).startswith(_OURS))
    return {
        "readers": len(services.sessions),
        **services.hub.statistics()._asdict(),
        **store.statistics()._asdict(),
        "bytes_counted": sum(ring.bytes for ring in store.rings.values()),
        "turns": len(services.turns),
        "tasks": len(asyncio.all_tasks()),
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a pathlib.Path for each would be objects too
        "objects": dict(objects),
    }


class _Clock:
    """The wall clock, put forward now and then."""

    _ahead = 0.0

    def now(self) -> float:
        """Return Unix seconds."""
        return time.time() + self._ahead

    def advance(self) -> None:
        """Put the clock forward by _STEP_SECONDS."""
        self._ahead += _STEP_SECONDS


async def _serve() -> None:
    clock = _Clock()
    settings = configuration.from_mapping(environment.load(os.environ, Path(".env")))
    sockets = bind_sockets(settings.port, settings.address, backlog=1024)
    server = Server(settings, now=clock.now)
    await server.start(sockets)
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: print("held", json.dumps(held(server.services)), flush=True))
    loop.add_signal_handler(signal.SIGUSR2, clock.advance)
    print(f"listening on http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
    await stopping.wait()
    await server.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve())
