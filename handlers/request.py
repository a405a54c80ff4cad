"""Requests as far as handlers need to know them, whoever has parsed them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, overload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Headers(Protocol):
    """The fields of a head. All implementations know names that are spelled like `Sec-Websocket-Key`."""

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...
    def get(self, name: str, default: str | None = None, /) -> str | None:
        """Return the value of a field; fields of one name are joined by commas."""

    def __contains__(self, name: object, /) -> bool: ...


class Request(Protocol):
    """A request; Tornado's HTTPServerRequest is one."""

    @property
    def headers(self) -> Headers:
        """The fields of the head."""

    @property
    def query(self) -> str:
        """What follows the question mark."""

    @property
    def query_arguments(self) -> Mapping[str, Sequence[bytes]]:
        """The same, decoded."""

    @property
    def host(self) -> str:
        """The Host field."""

    @property
    def version(self) -> str:
        """Such as `HTTP/1.1`."""

    @property
    def remote_ip(self) -> str | None:
        """The address of the peer."""


class Upgrade(NamedTuple):
    """A request for a WebSocket, by HTTP/1.1."""

    headers: Mapping[str, str]
    query: str
    query_arguments: Mapping[str, Sequence[bytes]]
    host: str
    remote_ip: str
    version: str = "HTTP/1.1"
