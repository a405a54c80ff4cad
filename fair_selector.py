"""A selector that tells of a few events at a time, so that no pass of the event loop takes long.

Thousands of connections may be closed, or say something, at the same moment. Each takes little, but asyncio handles all
that it is told of before it looks for anything else. What it has not been told of yet stays ready, and comes next.

Where more are ready than that, half of the room is for those that were told of last: an upload on a busy connection
does not wait until thousands of readers have left whose proxy has died.
"""

from __future__ import annotations

import asyncio
import math
import os
import select
import selectors
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

# Some ten milliseconds' worth of connections that come or go.
MOST_EVENTS = 128
# All that may be ready at the same time, as far as it is looked at.
_LOOKED_AT = 8192


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop with such a selector, where the system has epoll."""
    return asyncio.SelectorEventLoop(FairSelector()) if hasattr(select, "epoll") else asyncio.new_event_loop()


class FairSelector(selectors.EpollSelector):
    """Like EpollSelector, but for how many events it returns."""

    def __init__(self) -> None:
        super().__init__()
        # Another descriptor of the same epoll instance, which has its own end.
        self._events = select.epoll.fromfd(os.dup(self.fileno()))
        self._keys: dict[int, selectors.SelectorKey] = {}  # by descriptor: `get_map` takes longer to look one up
        self._calls = 0
        self._told_at: dict[int, int] = {}  # when a descriptor was told of last, by calls
        self._waiting: dict[int, int] = {}  # those that are ready and have not been told of, and since when

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a file."""
        key = super().register(fileobj, events, data)
        self._keys[key.fd] = key
        return key

    def modify(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a file for other events."""
        del self._keys[self.get_key(fileobj).fd]  # it is watched no more if this fails
        key = super().modify(fileobj, events, data)
        self._keys[key.fd] = key
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        """Watch a file no more."""
        key = super().unregister(fileobj)
        del self._keys[key.fd]
        self._told_at.pop(key.fd, None)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return some of the events that are ready, waiting at most `timeout` seconds (None: for ever) for one."""
        # Rounded up to what epoll knows, or it would be asked over and over until a timer is due.
        seconds = -1 if timeout is None else math.ceil(timeout * 1e3) * 1e-3 if timeout > 0 else 0
        ready: list[tuple[selectors.SelectorKey, int]] = []
        found = self._events.poll(seconds, _LOOKED_AT)
        self._calls += 1
        if len(found) > MOST_EVENTS:
            found = self._some_of(found)
        elif self._waiting:
            self._waiting.clear()
        for file, event in found:
            key = self._keys.get(file)
            if key is not None:
                self._told_at[file] = self._calls
                # An error or a hang-up wakes readers and writers alike.
                events = selectors.EVENT_WRITE * bool(event & ~select.EPOLLIN)
                events |= selectors.EVENT_READ * bool(event & ~select.EPOLLOUT)
                ready.append((key, events & key.events))
        return ready

    def _some_of(self, events: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Choose events: of those files that were told of last, and as many of those that have waited the longest."""
        half, now = MOST_EVENTS // 2, self._calls
        events.sort(key=lambda event: self._told_at.get(event[0], 0))
        others = events[:-half]
        others.sort(key=lambda event: self._waiting.get(event[0], now))
        self._waiting = {file: self._waiting.get(file, now) for file, _ in others[half:]}
        return events[-half:] + others[:half]

    def close(self) -> None:
        """Close both descriptors."""
        self._events.close()
        self._keys.clear()
        self._told_at.clear()
        self._waiting.clear()
        super().close()
