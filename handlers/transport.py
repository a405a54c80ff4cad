"""Transports: how lines get to a reader."""

from __future__ import annotations

from enum import Enum


class Transport(Enum):
    """A way for lines to get to a reader. Its value is its name in the log."""

    WEBSOCKET = "WebSocket"
    EVENTS = "events"
    EVENTS_1_0 = "events/1.0"
    HTTP = "http"
    HTTP_1_0 = "http/1.0"

    @property
    def is_events(self) -> bool:
        """Whether lines are server-sent events."""
        return self in {Transport.EVENTS, Transport.EVENTS_1_0}

    @property
    def is_chunked(self) -> bool:
        """Whether lines are sent in chunks (RFC 9112, section 7.1), which HTTP/1.0 does not have."""
        return self in {Transport.EVENTS, Transport.HTTP}
