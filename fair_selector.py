"""A selector that tells of a few events at a time, so that no pass of the event loop takes long.

Thousands of connections may be closed, or say something, at the same moment. Each takes little, but asyncio handles all
that it is told of before it looks for anything else. What it has not been told of yet stays ready, and comes next.
"""

from __future__ import annotations

import asyncio
import math
import os
import select
import selectors

# Some ten milliseconds' worth of connections that come or go.
MOST_EVENTS = 128


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop with such a selector, where the system has epoll."""
    return asyncio.SelectorEventLoop(FairSelector()) if hasattr(select, "epoll") else asyncio.new_event_loop()


class FairSelector(selectors.EpollSelector):
    """Like EpollSelector, but for how many events it returns. The kernel takes turns with those that are ready."""

    def __init__(self) -> None:
        super().__init__()
        # Another descriptor of the same epoll instance, which has its own end.
        self._events = select.epoll.fromfd(os.dup(self.fileno()))

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return some of the events that are ready, waiting at most `timeout` seconds (None: for ever) for one."""
        # Rounded up to what epoll knows, or it would be asked over and over until a timer is due.
        seconds = -1 if timeout is None else max(0.0, math.ceil(timeout * 1e3) * 1e-3)
        keys, ready = self.get_map(), list[tuple[selectors.SelectorKey, int]]()
        for file, event in self._events.poll(seconds, MOST_EVENTS):
            key = keys.get(file)
            # An error or a hang-up wakes readers and writers alike.
            events = selectors.EVENT_WRITE * bool(event & ~select.EPOLLIN)
            events |= selectors.EVENT_READ * bool(event & ~select.EPOLLOUT)
            if key is not None:
                ready.append((key, events & key.events))
        return ready

    def close(self) -> None:
        """Close both descriptors."""
        self._events.close()
        super().close()
