"""What a visitor leaves behind; whom it is let in as, and with what, is in test_logs_admission.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from handlers.authorisation import Unauthorized
from handlers.query import BadParameter
from handlers.request import Upgrade
from handlers.transport import Transport
from handlers.visitor import Visitor

if TYPE_CHECKING:
    from tests.conftest import LiveServer


@pytest.fixture
def followed(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The namespaces that are followed now."""
    names = list[str]()
    follow = live.services.broker.follow

    async def noted(namespace: str, *others: int, **options: bool) -> bool:
        names.append(namespace)
        return await follow(namespace, *others, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(live.services.broker, "follow", noted)
    monkeypatch.setattr(live.services.broker, "release", names.remove)
    return names


async def asked(live: LiveServer, **arguments: str) -> Upgrade:
    given = {"token": await live.sign(), "tail": "5"} | arguments
    return Upgrade({}, "", {name: [value.encode()] for name, value in given.items()}, "logurt", "10.0.0.1")


async def test_a_visitor_follows_its_namespace_until_it_is_let_go(live: LiveServer, followed: list[str]) -> None:
    visitor = Visitor(live.services, await asked(live, pod="web-*"))
    admission = await visitor.admit(Transport.WEBSOCKET, None)
    assert (admission.view.selector.namespace, admission.query.tail) == ("myapp", 5)
    assert followed == ["myapp"]
    for _ in range(2):
        visitor.let_go()
    assert followed == []


@pytest.mark.parametrize(("arguments", "error"), [({"token": "nonsense"}, Unauthorized), ({"tail": "x"}, BadParameter)])
async def test_a_visitor_that_is_refused_follows_nothing(
    live: LiveServer, followed: list[str], arguments: dict[str, str], error: type[Exception]
) -> None:
    visitor = Visitor(live.services, await asked(live, **arguments))
    with pytest.raises(error):
        await visitor.admit(Transport.WEBSOCKET, None)
    assert followed == []


async def test_the_log_is_told_of_the_query_but_not_of_the_token(live: LiveServer) -> None:
    visitor = Visitor(live.services, await asked(live, pod="web-0", include="x{200}"))
    visit = visitor.visit(await visitor.admit(Transport.WEBSOCKET, None))
    assert (visit.client, visit.asked) == ("10.0.0.1", "tail=5&pod=web-0&include=x{200}")
    visitor.let_go()
