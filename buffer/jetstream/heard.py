"""Heard: a message as the stream sends it again on the live subject, as soon as it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nats.aio.msg import Msg


class Heard(NamedTuple):
    """A message of a namespace, its number, and that of the one before it (0: there is none)."""

    number: int
    previous: int
    data: bytes

    @classmethod
    def read(cls, msg: Msg) -> Heard | None:
        """Return what was heard; None if that is no message of the stream."""
        headers = msg.headers or {}
        try:
            return cls(int(headers["Nats-Sequence"]), int(headers["Nats-Last-Sequence"]), msg.data)
        except (KeyError, ValueError):
            return None
