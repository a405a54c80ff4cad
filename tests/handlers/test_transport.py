from __future__ import annotations

import pytest

from handlers.transport import Transport


@pytest.mark.parametrize(
    ("transport", "is_events", "is_chunked"),
    [
        (Transport.WEBSOCKET, False, False),
        (Transport.EVENTS, True, True),
        (Transport.EVENTS_1_0, True, False),
        (Transport.HTTP, False, True),
        (Transport.HTTP_1_0, False, False),
    ],
)
def test_a_transport_knows_its_form(transport: Transport, *, is_events: bool, is_chunked: bool) -> None:
    assert (transport.is_events, transport.is_chunked) == (is_events, is_chunked)
