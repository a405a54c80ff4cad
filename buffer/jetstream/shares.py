"""Shares: how long the stream keeps the messages of each source, so that a namespace stays within its bytes.

A stream can bound the messages of a subject by their number alone, and drops the oldest first: four chatty pods would
evict a quiet one. So each message says itself how long it is to be kept. As much as a namespace may hold is divided
among its sources: those that write little keep all of it for the full time, the others share what is left evenly, and
keep for as long as they need to write their share.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.source import Source

# No message is kept for less: a replica that was cut off must get the chance to come back before it is evicted.
MIN_SECONDS = 30

# How far back the rate of a source looks: it is that of a burst divided by this, right after the burst.
_MEMORY_SECONDS = 60
_INTERVAL = 1.0
# What is remembered: some 200 bytes a source. Those that wrote last are remembered the longest.
_MAX_SOURCES = 2000  # of a namespace
_MAX_NAMESPACES = 4096
# A source that writes less, in bytes a second, is quiet: it needs no account.
_QUIET = 1.0


class _Account:
    """What one source writes."""

    __slots__ = ("rate", "seconds", "updated")

    def __init__(self, now: float) -> None:
        self.rate = 0.0  # bytes a second, as of `updated`
        self.updated = now
        self.seconds = math.inf  # how long its messages are kept, as of the last division

    def rate_at(self, now: float) -> float:
        return self.rate * math.exp((self.updated - now) / _MEMORY_SECONDS)

    def add(self, size: int, now: float) -> None:
        self.rate = self.rate_at(now) + size / _MEMORY_SECONDS
        self.updated = now


class _Namespace:
    """The accounts of one namespace."""

    __slots__ = ("_accounts", "_divided_at")

    def __init__(self, now: float) -> None:
        self._accounts: OrderedDict[Source, _Account] = OrderedDict()
        self._divided_at = now

    def account(self, source: Source, now: float) -> _Account:
        account = self._accounts.get(source)
        if account is None:
            account = self._accounts[source] = _Account(now)
            if len(self._accounts) > _MAX_SOURCES:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(source)
        return account

    def divide(self, total: float, max_seconds: int, now: float) -> None:
        """Divide so many bytes among the sources, unless that was done just now, and forget the quiet ones."""
        if now - self._divided_at < _INTERVAL:
            return
        self._divided_at = now
        rates = [(account.rate_at(now), source) for source, account in self._accounts.items()]
        rates.sort(key=lambda one: one[0])
        for index, (rate, source) in enumerate(rates):
            share = total / (len(rates) - index)
            if rate < _QUIET:
                del self._accounts[source]
            else:
                self._accounts[source].seconds = share / rate
            total -= min(share, rate * max_seconds)


class Shares:
    """Says how long to keep a message, at most `max_seconds`, if each namespace may hold so many bytes in all.

    `monotonic` returns seconds. `replicas` is how many processes publish: each sees about its part of every source.
    """

    def __init__(self, namespace_bytes: int, max_seconds: int, monotonic: Callable[[], float]) -> None:
        self.replicas = 1
        self._namespace_bytes = namespace_bytes
        self.max_seconds = max_seconds
        self._monotonic = monotonic
        self._namespaces: OrderedDict[str, _Namespace] = OrderedDict()

    def seconds(self, source: Source, size: int) -> int:
        """Note that a source writes so many bytes, and return how long to keep them, in seconds."""
        now = self._monotonic()
        namespace = self._namespaces.get(source.namespace)
        if namespace is None:
            namespace = self._namespaces[source.namespace] = _Namespace(now)
            if len(self._namespaces) > _MAX_NAMESPACES:
                self._namespaces.popitem(last=False)
        else:
            self._namespaces.move_to_end(source.namespace)
        total = self._namespace_bytes / self.replicas
        account = namespace.account(source, now)
        account.add(size, now)
        namespace.divide(total, self.max_seconds, now)
        # Whatever the others do, it does not get more than there is.
        seconds = min(account.seconds, total / account.rate, self.max_seconds)
        return int(max(seconds, min(MIN_SECONDS, self.max_seconds)))
