from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from handlers.upgrade import BadUpgrade, check_upgrade
from tests.handlers.peers import UPGRADE, received

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest


def asked_with(version: str = "HTTP/1.1", **changed: str) -> HTTPServerRequest:
    fields = UPGRADE | {name.replace("_", "-"): value for name, value in changed.items()}
    return received("/logs", *fields.items(), version=version)


@pytest.mark.parametrize("connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "keep-alive,upgrade , x"])
def test_a_handshake_of_version_13_passes(connection: str) -> None:
    check_upgrade(asked_with(Connection=connection))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"Connection": ""}, "a WebSocket request must have the header Connection: Upgrade"),
        ({"Connection": "keep-alive"}, "a WebSocket request must have the header Connection: Upgrade"),
        ({"Connection": "upgraded"}, "a WebSocket request must have the header Connection: Upgrade"),
        ({"Sec_WebSocket_Version": ""}, "only version 13 of the WebSocket protocol is spoken here"),
        ({"Sec_WebSocket_Version": "8"}, "only version 13 of the WebSocket protocol is spoken here"),
        ({"Sec_WebSocket_Key": ""}, "a WebSocket request must have the header Sec-WebSocket-Key"),
    ],
)
def test_any_other_handshake_is_refused_with_what_it_lacks(changed: dict[str, str], problem: str) -> None:
    with pytest.raises(BadUpgrade) as caught:
        check_upgrade(asked_with(**changed))
    assert str(caught.value) == caught.value.problem == problem


def test_http_1_0_cannot_upgrade() -> None:
    with pytest.raises(BadUpgrade, match=r"a WebSocket request must be of HTTP/1\.1"):
        check_upgrade(asked_with("HTTP/1.0"))
