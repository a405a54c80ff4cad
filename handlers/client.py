"""Whose request it is: the client's address, behind proxies that are trusted."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"


def client_address(address: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """Return the address that a request comes from, given that of its peer and its `X-Forwarded-For`.

    Where the peer is a trusted proxy, it is the last one forwarded that is none: what stands before it there may have
    been made up by the client.
    """
    if not trusted or not _is_trusted(address, trusted):
        return address
    for hop in reversed(forwarded.split(",")):
        if not (known := _address(hop.strip())):
            return address
        address = known
        if not _is_trusted(address, trusted):
            return address
    return address


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _is_trusted(text: str, trusted: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in trusted)
