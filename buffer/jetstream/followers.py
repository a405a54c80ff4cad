"""Followers: the namespaces that are followed here, each while it has readers and some minutes longer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from buffer.jetstream.follower import Follower

if TYPE_CHECKING:
    from buffer.jetstream.desk import Desk

# Namespaces that are asked for a lost last message at a time.
_PEEKS = 100


class Followers:
    """One follower for each namespace; it stays for `linger` seconds after its last reader has left."""

    def __init__(self, desk: Desk, linger: float) -> None:
        self._desk = desk
        self._linger = linger
        self._by_namespace: dict[str, Follower] = {}
        self._peeked: list[Follower] = []  # those whose turn is still to come

    @property
    def highest(self) -> int:
        """The highest number that any of them has delivered."""
        return max((follower.last for follower in self._by_namespace.values()), default=0)

    def add_reader(self, namespace: str) -> Follower:
        """Return the follower of a namespace, for one more reader."""
        follower = self._by_namespace.get(namespace)
        if follower is None:
            follower = self._by_namespace[namespace] = Follower(namespace, self._desk)
            follower.start()
        if follower.linger is not None:
            follower.linger.cancel()
            follower.linger = None
        follower.readers += 1
        return follower

    def remove_reader(self, namespace: str) -> None:
        """Follow a namespace no longer than some minutes once its last reader has left."""
        follower = self._by_namespace.get(namespace)
        if follower is None:
            return
        follower.readers -= 1
        if not follower.readers:
            follower.linger = asyncio.get_running_loop().call_later(self._linger, self._forget, follower)

    def refresh(self) -> None:
        """Have all fetch what they may have missed."""
        for follower in self._by_namespace.values():
            follower.refresh()

    def restart(self) -> None:
        """Have all begin anew: the numbering has."""
        for follower in self._by_namespace.values():
            follower.restart()

    def peek(self) -> None:
        """Have some of them look for a last message that they have not heard."""
        if not self._peeked:
            self._peeked = list(self._by_namespace.values())
        for follower in self._peeked[-_PEEKS:]:
            if self._by_namespace.get(follower.namespace) is follower:
                follower.peek()
        del self._peeked[-_PEEKS:]

    def close(self) -> None:
        """Follow nothing any more."""
        for follower in self._by_namespace.values():
            if follower.linger is not None:
                follower.linger.cancel()
            follower.stop()
        self._by_namespace.clear()

    def _forget(self, follower: Follower) -> None:
        follower.stop()
        del self._by_namespace[follower.namespace]
        self._desk.receiver.forget(follower.namespace)
