"""The table of routes, and the application that serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tornado.web import Application, RequestHandler

from handlers.base import NotFound
from handlers.health import AliveHandler, IngestReadyHandler, ReadyHandler
from handlers.ingest import Ingest, IngestHandler
from handlers.logs import LogsHandler
from handlers.metrics import MetricsHandler
from handlers.sign import SignHandler
from handlers.sources import SourcesHandler
from handlers.view import FileHandler, FrontHandler, ViewHandler
from ingest.fluentbit.decode import decode as decode_fluentbit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handlers.services import Services
    from ingest.batch import Decoder

# Where logs come in stands their decoder; everything else is a request handler.
ROUTES: tuple[tuple[str, type[RequestHandler] | Decoder], ...] = (
    ("/api/sign", SignHandler),
    ("/api/sources", SourcesHandler),
    ("/_ingest/fluentbit", decode_fluentbit),
    ("/logs", LogsHandler),
    ("/view", ViewHandler),
    ("/", FrontHandler),
    ("/healthz", AliveHandler),
    ("/readyz", ReadyHandler),
    ("/readyz/ingest", IngestReadyHandler),
    ("/metrics", MetricsHandler),
)

# What the page at /view is made of.
_FILES = "/view/(.*)"


def make_ingests(services: Services) -> dict[str, Ingest]:
    """Return what takes uploads, by the paths that they come to."""
    return {path: Ingest(services, path, target) for path, target in ROUTES if not isinstance(target, type)}


def make_application(services: Services, ingests: Mapping[str, Ingest]) -> Application:
    """Return the application with all routes."""
    arguments: dict[str, Any] = {"services": services}
    handlers: list[tuple[str, type[RequestHandler], dict[str, Any]]] = [
        (path, target, arguments)
        if isinstance(target, type)
        else (path, IngestHandler, {**arguments, "ingest": ingests[path]})
        for path, target in ROUTES
    ]
    return Application(
        [*handlers, (_FILES, FileHandler, arguments)],
        default_handler_class=NotFound,
        default_handler_args=arguments,
        # Requests are not logged one by one: those with logs would come back as logs, those for logs hold tokens.
        log_function=lambda handler: None,  # noqa: ARG005 - Tornado's signature
    )
