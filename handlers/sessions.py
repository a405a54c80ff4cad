"""All open sessions: how many there may be, when each of them must end, and how they are drained."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from protocol import EXPIRED, STALLED, STOPPING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from handlers.session import Session

# Proxies close connections that are silent for a minute; clients answer a ping at once.
HEARTBEAT_SECONDS = 25

# How often a stop looks whether all clients have read the end of their streams.
_LOOK_SECONDS = 0.02


class TooManyReaders(Exception):
    """There are `limit` readers already."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"there are {self.limit} readers already"


class ServerStopping(Exception):
    """The server is about to go, and takes nothing new."""

    def __str__(self) -> str:
        return "the server is stopping"


class Sessions:
    """The sessions of all readers. `now` gives Unix seconds, `monotonic` seconds."""

    def __init__(
        self, limit: int, stall_timeout: float, *, now: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        self.stopping = False  # once it is set, nothing new is taken: no readers, and no logs
        self._limit = limit
        self._stall_timeout = stall_timeout
        self._now = now
        self._monotonic = monotonic
        self._sessions: dict[Session, None] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[Session]:
        """Iterate over the sessions that are open now, in the order in which they came."""
        return iter(list(self._sessions))

    def admit(self) -> None:
        """Raise TooManyReaders or ServerStopping if there is no room for another."""
        self.check_not_stopping()
        if len(self._sessions) >= self._limit:
            raise TooManyReaders(self._limit)

    def check_not_stopping(self) -> None:
        """Raise ServerStopping if a stop has begun: what is stored then may go with this process before it is read."""
        if self.stopping:
            raise ServerStopping

    def add(self, session: Session) -> None:
        """Watch over a session from now on."""
        session.heartbeat_at = self._monotonic() + HEARTBEAT_SECONDS
        self._sessions[session] = None

    def remove(self, session: Session) -> None:
        """Forget a session, if it is known."""
        self._sessions.pop(session, None)

    def sweep(self) -> None:
        """End sessions whose token has expired or whose client takes nothing, and keep the others alive."""
        now, monotonic = self._now(), self._monotonic()
        for session in self:
            try:
                self._look_after(session, now, monotonic)
            except OSError:  # the system cannot tell how its connection is doing
                session.abort()

    def _look_after(self, session: Session, now: float, monotonic: float) -> None:
        if now >= session.expires_at:
            session.end(EXPIRED)
        elif session.stalled_for(monotonic) >= self._stall_timeout:
            session.end(STALLED)
        elif monotonic >= session.heartbeat_at:
            session.heartbeat_at = monotonic + HEARTBEAT_SECONDS
            if not session.heartbeat():
                session.abort()

    async def drain(self, seconds: float, goodbye_seconds: float = 2.0) -> None:
        """Admit nobody from now on, and end all sessions one by one, spread evenly over so many seconds.

        Then wait until the clients have read the end of their streams, but only for `goodbye_seconds`.
        """
        self.stopping = True
        sessions = list(self._sessions)
        started = self._monotonic()
        for number, session in enumerate(sessions, start=1):
            session.end(STOPPING)
            pause = started + seconds * number / len(sessions) - self._monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
        until = self._monotonic() + goodbye_seconds
        while any(session.is_open for session in sessions) and self._monotonic() < until:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(_LOOK_SECONDS)
