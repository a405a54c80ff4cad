"""The server: its parts put together, listening, started and stopped, and the process that it runs in."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import math
import os
import resource
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tornado.ioloop import PeriodicCallback
from tornado.netutil import bind_sockets

from brokers import make_storage
from buffer.broker import BrokerUnavailable
from delivery.histogram import Histogram
from delivery.hub import Hub
from handlers.assets import viewer_assets
from handlers.authorisation import Secrets
from handlers.broker_log import BrokerLog
from handlers.budget import Budget
from handlers.duplicates import Duplicates
from handlers.gate import Gate
from handlers.inflight import Inflight
from handlers.lateness import Lateness
from handlers.listener import Listener
from handlers.routes import make_application, make_ingests
from handlers.services import Services
from handlers.sessions import Sessions
from handlers.statistics import IngestStatistics, RequestStatistics
from handlers.throttle import LogThrottle
from handlers.tokens import Tokens
from handlers.turns import Turns
from log_format import FORMATTERS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from settings import Settings

log = logging.getLogger("logurt")

# glibc's mallopt(3): how much free memory to keep at the top of the heap (M_TRIM_THRESHOLD), and the size from which a
# block gets a mapping of its own (M_MMAP_THRESHOLD). Fluent Bit's bodies rarely exceed 3 MB.
_MALLOC = ((-1, 32 << 20), (-3, 4 << 20))

# How many new containers trigger a collection of the youngest generation, and how many of those one of the older.
_GARBAGE = (20_000, 20, 100)

# How long a body may take to come: Fluent Bit gives an answer up after 60 seconds.
BODY_SECONDS = 60

# Connections that may wait to be accepted: as many as Linux allows by default. A client whose connection does not fit
# tries again after a second or three, and a thousand readers may come back at once.
_BACKLOG = 4096

# Fluent Bit closes a connection after 30 idle seconds.
_IDLE_SECONDS = 75

# At least this much memory for bodies that arrive at the same time: Fluent Bit opens a connection for every chunk that
# waits.
BODIES_MIB = 64

# A request line with a token, and headers with another: Tornado takes some microseconds for each line of them.
MAX_HEADER_BYTES = 20 * 1024

# What Fluent Bit may well send: lines of control characters become bodies of 11 MiB.
_USUAL_BODY_MIB = 12

_SWEEP_MS = 1000
_EXPIRE_MS = 10_000


class StopBounds(NamedTuple):
    """How many seconds each step of a stop may take."""

    flush: float  # what has been stored gets to the readers
    drain: float  # they are closed over this time, evenly spread
    goodbye: float = 2.0  # until the last of them have read the end of their streams
    answers: float = 9.0  # until the answers to requests in flight are known
    close: float = 2.0  # until these have been sent

    @classmethod
    def of(cls, settings: Settings) -> StopBounds:
        """Return the bounds that these settings ask for: at most 14 seconds beyond `drain_seconds`."""
        return cls(flush=settings.flush_interval_ms / 1000, drain=settings.drain_seconds)

    @property
    def total(self) -> float:
        """How long a stop takes, at most."""
        return sum(self)


# At a terminal somebody is waiting: after Ctrl-C it is over within a second.
AT_A_TERMINAL = StopBounds(flush=0.02, drain=0.0, goodbye=0.3, answers=0.3, close=0.3)


class Server:
    """The service. To be made where an event loop runs.

    `now` returns Unix seconds, `monotonic` seconds of the clock that the timers of asyncio go by. `bodies_bytes` is how
    much memory the bodies of all requests that arrive at the same time may take, `body_seconds` how long one may take
    to arrive.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        bodies_bytes: int | None = None,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        if bodies_bytes is None:
            bodies_bytes = max(BODIES_MIB, 4 * settings.max_body_mib) << 20
        self.services = _services(settings, now, monotonic, bodies_bytes)
        self._settings = settings
        ingests = make_ingests(self.services)
        self._http = Listener(
            make_application(self.services, ingests),
            self.services,
            ingests,
            # Handlers that take a body set a bound of their own, and drain what is above it.
            max_body_size=64 * 1024,
            max_buffer_size=1024 * 1024,
            max_header_size=MAX_HEADER_BYTES,
            idle_connection_timeout=_IDLE_SECONDS,
            body_timeout=body_seconds,
        )
        loop = asyncio.get_running_loop()
        self._lateness = Lateness(self.services.waits, monotonic=loop.time, call_later=loop.call_later)
        self._periodic = (
            PeriodicCallback(self.services.sessions.sweep, _SWEEP_MS),
            PeriodicCallback(lambda: self.services.hub.expire(self.services.now()), _EXPIRE_MS),
            PeriodicCallback(BrokerLog(self.services.broker).look, _SWEEP_MS),
        )

    @property
    def connections(self) -> int:
        """How many connections are open on which nobody follows logs."""
        return self._http.connections

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Start the broker, then serve on listening sockets. Raises BrokerUnavailable."""
        await self.services.broker.start(self.services.hub)
        if lines := self.services.hub.store.statistics().lines:
            log.info("lines that are still here from before the start: %d", lines)
        self.services.hub.expire(self.services.now())
        self._http.add_sockets(sockets)
        self._lateness.start()
        for callback in self._periodic:
            callback.start()

    async def stop(self, bounds: StopBounds | None = None) -> None:
        """Fail readiness and refuse new work at once, close the readers, answer what is in flight, then close."""
        bounds = bounds or StopBounds.of(self._settings)
        sessions, inflight = self.services.sessions, self.services.inflight
        log.info("stopping; readers: %d, requests in flight: %d", len(sessions), len(inflight))
        sessions.stopping = True
        self._http.drain(inflight)
        if len(sessions):
            await asyncio.sleep(bounds.flush)
        await sessions.drain(bounds.drain, bounds.goodbye)
        await inflight.over(bounds.answers)
        await self._http.close(bounds.close)
        self._lateness.stop()
        for callback in self._periodic:
            callback.stop()
        await self.services.broker.close()


def _services(
    settings: Settings, now: Callable[[], float], monotonic: Callable[[], float], bodies_bytes: int
) -> Services:
    broker, store = make_storage(settings, now, report=log.warning)
    return Services(
        settings=settings,
        assets=viewer_assets(),
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
        duplicates=Duplicates(settings.duplicate_window_seconds, settings.ingest_secret, monotonic),
        turns=Turns(),
        gate=Gate(),
        inflight=Inflight(),
        throttle=LogThrottle(monotonic),
        ingest=IngestStatistics(),
        requests=RequestStatistics(),
        waits=Histogram(),
        now=now,
    )


async def serve(settings: Settings) -> int:
    """Run the service until a signal ends it; return the exit code."""
    signals = _Signals(asyncio.get_running_loop())  # before anything that takes time
    try:
        sockets = bind_sockets(settings.port, settings.address or None, backlog=_BACKLOG)
    except OSError as error:
        print(f"logurt: cannot listen on port {settings.port}: {error.strerror or error}", file=sys.stderr)
        return 1
    _allow_many_sockets()
    tune_malloc()
    tune_gc()
    if settings.max_body_mib < _USUAL_BODY_MIB:
        log.warning("MAX_BODY_MIB is below %d: Fluent Bit drops larger bodies for good", _USUAL_BODY_MIB)
    server = Server(settings)
    starting = asyncio.ensure_future(server.start(sockets))
    either: list[asyncio.Future[Any]] = [starting, signals.first]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        try:
            starting.result()
        except BrokerUnavailable as error:
            print(f"logurt: cannot start: {error.problem}", file=sys.stderr)
            return 1
        log.info("listening on %s", ", ".join(sorted({_shown(one) for one in sockets})))
    number = await signals.first
    starting.cancel()
    await asyncio.wait({starting})
    bounds = AT_A_TERMINAL if number is signal.SIGINT and sys.stderr.isatty() else StopBounds.of(settings)
    log.info("%s: stopping within %d seconds", number.name, math.ceil(bounds.total))
    await server.stop(bounds)
    log.info("stopped")
    return 0


class _Signals:
    """SIGTERM and SIGINT from now on: the first one asks for a stop, any other one ends the process at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.first: asyncio.Future[signal.Signals] = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._note, number)

    def _note(self, number: signal.Signals) -> None:
        if self.first.done():
            log.warning("%s again: stopping at once", number.name)
            logging.shutdown()
            os._exit(128 + number)
        self.first.set_result(number)


def _shown(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def tune_malloc() -> None:
    """Have the C library keep the memory of one request for the next.

    By default it hands large blocks back to the kernel at once, and a request pays for each page of its body several
    times over: a third of the CPU of a request of 200 records. Other C libraries than glibc are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, size in _MALLOC:
            mallopt(parameter, size)


def tune_gc() -> None:
    """Have the garbage collector look for reference cycles less often: an eighth of the CPU of such a request.

    This asks one thing of all code. **Nothing that comes with a request or a reader may be in a reference cycle once it
    is over**, or it stays for minutes. Where two objects have to know each other, one of them forgets the other in the
    end: it sets an attribute to None, or deletes one that is Tornado's. A raised error counts too, for its traceback
    knows the frame that raised it. Tests look for what is left with the collector turned off.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


def _allow_many_sockets() -> None:
    """Raise the soft limit of open files to the hard one: every reader takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def log_to_stderr(level: str, form: str) -> None:
    """Log to standard error from this level on, in one of FORMATTERS."""
    to_stderr = logging.StreamHandler()
    to_stderr.setFormatter(FORMATTERS[form]())
    logging.basicConfig(level=level.upper(), handlers=[to_stderr], force=True)
    # None of these is in our lines, and to find them out takes a fifth of what a line does.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # What Tornado says of malformed requests quotes their headers, with the secrets in them.
    quiet = max(logging.WARNING, logging.getLogger().level)
    logging.getLogger("tornado.general").setLevel(quiet)
