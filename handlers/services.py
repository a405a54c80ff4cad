"""The parts of a server that its handlers share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from handlers.websocket import frame_budget

if TYPE_CHECKING:
    from collections.abc import Callable

    from buffer.broker import Broker
    from delivery.histogram import Histogram
    from delivery.hub import Hub
    from handlers.assets import Assets
    from handlers.authorisation import Secrets
    from handlers.budget import Budget
    from handlers.duplicates import Duplicates
    from handlers.gate import Gate
    from handlers.inflight import Inflight
    from handlers.pass_budget import PassBudget
    from handlers.sessions import Sessions
    from handlers.statistics import IngestStatistics, RequestStatistics
    from handlers.throttle import LogThrottle
    from handlers.tokens import Tokens
    from handlers.turns import Turns
    from settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What every handler is given. `now` returns Unix seconds."""

    settings: Settings
    assets: Assets
    tokens: Tokens
    api_secrets: Secrets
    ingest_secrets: Secrets
    broker: Broker
    hub: Hub
    sessions: Sessions
    bodies: Budget
    duplicates: Duplicates
    turns: Turns
    gate: Gate
    frames: PassBudget = field(default_factory=frame_budget)  # of what clients of WebSockets send
    inflight: Inflight
    throttle: LogThrottle
    ingest: IngestStatistics
    requests: RequestStatistics
    waits: Histogram  # how late the event loop was, in seconds
    now: Callable[[], float]

    @property
    def stopping(self) -> bool:
        """Whether the server is about to go: nothing new is taken."""
        return self.sessions.stopping
