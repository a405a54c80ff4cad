"""The Tornado shell: parse, authorise, call the buffer, write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado.routing import Router
from tornado.web import Application, RequestHandler

from handlers.base import NotFound
from handlers.health import AliveHandler, ReadyHandler
from handlers.ingest import IngestRouter
from handlers.logs import LogsHandler
from handlers.sign import SignHandler

if TYPE_CHECKING:
    from handlers.base import Services

ROUTES: tuple[tuple[str, type[RequestHandler | IngestRouter]], ...] = (
    ("/api/sign", SignHandler),
    ("/_ingest/fluentbit", IngestRouter),
    ("/logs", LogsHandler),
    ("/healthz", AliveHandler),
    ("/readyz", ReadyHandler),
)

# The one message that clients send holds a token, and a token has 8 KiB at the most.
_MAX_MESSAGE_BYTES = 16 * 1024


def make_application(services: Services) -> Application:
    """Return the application with all routes."""
    arguments = {"services": services}
    return Application(
        [
            (path, target(services)) if issubclass(target, Router) else (path, target, arguments)
            for path, target in ROUTES
        ],
        default_handler_class=NotFound,
        default_handler_args=arguments,
        # Requests are not logged one by one: those with logs would come back as logs, those for logs hold tokens.
        log_function=lambda handler: None,  # noqa: ARG005 - Tornado's signature
        websocket_max_message_size=_MAX_MESSAGE_BYTES,
    )
