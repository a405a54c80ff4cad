"""The broker's state in the log: a line whenever it changes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buffer.broker import Broker

log = logging.getLogger("logurt")


class BrokerLog:
    """Notices what has become of the broker. Whatever it is called with the first time is news, unless all is well."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._problem = self._weakness = ""

    def look(self) -> None:
        """Log what has changed since the last look."""
        problem, weakness = self._broker.problem, self._broker.weakness
        # Details of a problem may change from second to second; that it has begun is news.
        if problem and not self._problem:
            log.warning("no logs are taken, and senders have to come again: %s", problem)
        elif self._problem and not problem:
            log.info("logs are taken again")
        if weakness != self._weakness:
            log.warning("the broker is not all well: %s", weakness) if weakness else log.info(
                "the broker is well again"
            )
        self._problem, self._weakness = problem, weakness
