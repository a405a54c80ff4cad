"""GET /healthz and /readyz: the probes of a kubelet."""

from __future__ import annotations

from http import HTTPStatus

from buffer.broker import BrokerUnavailable
from handlers.base import Handler


class AliveHandler(Handler):
    """Answers as long as the event loop turns."""

    def get(self) -> None:
        """Answer."""
        self.answer({"status": "alive"})

    head = get


class ReadyHandler(Handler):
    """Says whether the server should get traffic."""

    def get(self) -> None:
        """Answer 200, or 503 while the server is stopping. What the broker cannot promise is no reason to go."""
        if self.services.stopping:
            self.answer({"error": "the server is stopping"}, HTTPStatus.SERVICE_UNAVAILABLE)
        elif self.services.broker.weakness:
            self.answer({"status": "ready", "weakness": self.services.broker.weakness})
        else:
            self.answer({"status": "ready"})

    head = get


class IngestReadyHandler(ReadyHandler):
    """Says whether the server should get logs. Without a broker it has none to take them, but still serves readers."""

    def get(self) -> None:
        """Answer 200, or 503 while the server is stopping or its broker takes nothing."""
        problem = self.services.broker.problem
        if problem and not self.services.stopping:
            self.answer({"error": str(BrokerUnavailable(problem)), "problem": problem}, HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            super().get()

    head = get
