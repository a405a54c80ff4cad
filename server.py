"""The server: its parts put together, listening, started and stopped."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import resource
import signal
import sys
import time
from typing import TYPE_CHECKING

from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback
from tornado.netutil import bind_sockets

from buffer.broker import MemoryBroker
from buffer.store import Limits, Store
from delivery.hub import Hub
from handlers.authorisation import Secrets
from handlers.budget import Budget
from handlers.duplicates import Duplicates
from handlers.inflight import Inflight
from handlers.ingest import BODY_SECONDS
from handlers.routes import make_application
from handlers.services import Services
from handlers.sessions import Sessions
from handlers.throttle import LogThrottle
from handlers.tokens import Tokens
from handlers.turns import Turns

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from tornado.iostream import IOStream

    from settings import Settings

log = logging.getLogger("logurt")

# glibc's mallopt(3): free memory at the top of the heap that is kept (M_TRIM_THRESHOLD), and the size from which a
# block gets a mapping that goes with it (M_MMAP_THRESHOLD). Bodies of Fluent Bit usually have 3 MB at the most.
_MALLOC = ((-1, 32 << 20), (-3, 4 << 20))

# Containers made before the young generation is looked through, and how many such looks before the older ones are.
_GARBAGE = (20_000, 20, 100)

# Fluent Bit closes a connection after 30 idle seconds.
_IDLE_SECONDS = 75

# Room for bodies that arrive at the same time, at least: Fluent Bit opens a connection for every chunk that waits.
BODIES_MIB = 64

# How long requests that have begun are waited for at shutdown, once the readers have gone.
ANSWER_SECONDS = 10

# How long connections may take to close after that.
CLOSE_SECONDS = 2

# File descriptors that connections leave free.
_SPARE_FILES = 16
_WARNING_SECONDS = 60

_SWEEP_MS = 1000
_EXPIRE_MS = 10_000


class Listener(HTTPServer):
    """An HTTP server that closes connections at once where file descriptors run out.

    Otherwise `accept` would fail, and be called again, as fast as the processor goes.
    """

    _quiet_until = 0.0

    def handle_stream(self, stream: IOStream, address: tuple[object, ...]) -> None:
        """Serve a connection, or close it."""
        # A new descriptor gets the lowest free number, so a high one tells that all below it are in use.
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY or stream.socket.fileno() < soft - _SPARE_FILES:
            super().handle_stream(stream, address)
            return
        stream.close()
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _WARNING_SECONDS
            log.warning("too many open files: new connections are closed, the limit is %d", soft)


class Server:
    """The service. To be made where an event loop runs.

    `now` returns Unix seconds, `monotonic` seconds of the loop's clock. `bodies_bytes` is how much memory all request
    bodies may take that arrive at the same time.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] | None = None,
        bodies_bytes: int | None = None,
    ) -> None:
        if bodies_bytes is None:
            bodies_bytes = max(BODIES_MIB, 4 * settings.max_body_mib) << 20
        self.services = _services(settings, now, monotonic or asyncio.get_running_loop().time, bodies_bytes)
        self._settings = settings
        self._http = Listener(
            make_application(self.services),
            # Handlers that take a body set a bound of their own, and drain what is above it.
            max_body_size=64 * 1024,
            max_buffer_size=1024 * 1024,
            idle_connection_timeout=_IDLE_SECONDS,
            body_timeout=BODY_SECONDS,
        )
        self._periodic = (
            PeriodicCallback(self.services.sessions.sweep, _SWEEP_MS),
            PeriodicCallback(lambda: self.services.hub.expire(self.services.now()), _EXPIRE_MS),
        )

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Start the broker, then serve on listening sockets. Raises BrokerUnavailable."""
        await self.services.broker.start(self.services.hub.receive)
        self._http.add_sockets(sockets)
        for callback in self._periodic:
            callback.start()

    async def stop(self) -> None:
        """Fail readiness, end the readers one by one, answer the requests in flight, then close."""
        sessions = self.services.sessions
        log.info("stopping; readers: %d", len(sessions))
        await sessions.drain(self._settings.drain_seconds)
        self._http.stop()
        for callback in self._periodic:
            callback.stop()
        await self.services.inflight.over(ANSWER_SECONDS)
        # A request that is still being stored then has its connection closed, and is not waited for.
        closing = asyncio.ensure_future(self._http.close_all_connections())
        await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
        await self.services.broker.close()


def _services(
    settings: Settings, now: Callable[[], float], monotonic: Callable[[], float], bodies_bytes: int
) -> Services:
    store = Store(
        Limits(
            settings.buffer_namespace_mib << 20, settings.buffer_total_mib << 20, settings.buffer_max_age_minutes * 60
        )
    )
    broker = MemoryBroker()
    return Services(
        settings=settings,
        tokens=Tokens(
            settings.jwt_signing_key,
            settings.jwt_signing_key_previous,
            settings.jwt_expiration_minutes * 60,
            now,
        ),
        api_secrets=Secrets("API_SECRET", settings.api_secret, settings.api_secret_previous),
        ingest_secrets=Secrets(
            "INGEST_SECRET",
            settings.ingest_secret,
            settings.ingest_secret_previous,
            settings.api_secret,
            settings.api_secret_previous,
        ),
        broker=broker,
        hub=Hub(
            store,
            settings.flush_interval_ms / 1000,
            broker.epoch,
            monotonic=monotonic,
            call_later=asyncio.get_running_loop().call_later,
        ),
        sessions=Sessions(settings.max_readers, settings.stall_timeout_seconds, now=now, monotonic=monotonic),
        bodies=Budget(bodies_bytes),
        duplicates=Duplicates(settings.duplicate_window_seconds, monotonic),
        turns=Turns(),
        inflight=Inflight(),
        throttle=LogThrottle(monotonic),
        now=now,
    )


async def serve(settings: Settings) -> int:
    """Run the service until a signal ends it; return the exit code."""
    try:
        sockets = bind_sockets(settings.port, settings.address or None, backlog=1024)
    except OSError as error:
        print(f"logurt: cannot listen on port {settings.port}: {error.strerror or error}", file=sys.stderr)
        return 1
    _allow_many_sockets()
    tune_malloc()
    tune_gc()
    server = Server(settings)
    await server.start(sockets)
    log.info("listening on %s", ", ".join(sorted({_shown(one) for one in sockets})))
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()

    def stop(number: signal.Signals) -> None:
        if stopping.is_set():
            log.warning("%s again: stopping at once", number.name)
            logging.shutdown()
            os._exit(128 + number)
        log.info("%s: stopping within %d seconds", number.name, settings.drain_seconds)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    await stopping.wait()
    await server.stop()
    log.info("stopped")
    return 0


def _shown(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def tune_malloc() -> None:
    """Have the C library keep the memory of one request for the next.

    By default it hands large blocks back to the kernel at once, and every body is paid for with a page fault for each
    of its pages, several times over: a third of the CPU that a request of 200 records takes. Not on other C libraries.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, size in _MALLOC:
            mallopt(parameter, size)


def tune_gc() -> None:
    """Have the garbage collector look for cycles less often.

    What comes with a request or a reader goes by reference counting, and tests hold that; by default the collector
    runs several times for each request nevertheless, an eighth of the CPU of a request of 200 records.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


def _allow_many_sockets() -> None:
    """Raise the soft limit of open files to the hard one: every reader takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def log_to_stderr(level: str) -> None:
    """Log to standard error from this level on."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    # What Tornado tells of malformed requests quotes their headers, with the secrets in them.
    quiet = max(logging.WARNING, logging.getLogger().level)
    logging.getLogger("tornado.general").setLevel(quiet)
