"""GET /view: the page that a signed link opens in a browser, and the files that it is made of."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from tornado.web import HTTPError

from handlers.assets import FRONT, PAGE
from handlers.base import Handler
from handlers.coding import chosen

if TYPE_CHECKING:
    from handlers.assets import Asset
    from handlers.request import Headers, Request

# A line of a log is hostile: whatever the page made of it, no script would run and nothing would be sent elsewhere.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}; require-trusted-types-for 'script'"
)
_ASK_EACH_TIME = "no-cache"
_KEEP_FOR_GOOD = "public, max-age=31536000, immutable"
# A page of another version is open: its files are those of this one, and nobody keeps them under that name.
_KEEP_NOTHING = "no-store"


class AssetHandler(Handler):
    """A handler that answers with files."""

    def _send(self, asset: Asset, cache_control: str) -> None:
        coding = chosen(self.request.headers.get("Accept-Encoding", ""), [*asset.bodies]) or "identity"
        # The same file in another coding is another representation (RFC 9110, section 8.8.3.3).
        self.set_header("ETag", f'"{asset.digest}-{coding}"')
        self.set_header("Cache-Control", cache_control)
        self.set_header("Vary", "Accept-Encoding")
        self.set_header("Content-Security-Policy", _POLICY.format(ancestors=self.services.settings.frame_ancestors))
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("X-Content-Type-Options", "nosniff")
        if self.check_etag_header():
            self.set_status(HTTPStatus.NOT_MODIFIED)
            self.finish()
            return
        self.set_header("Content-Type", asset.media_type)
        if coding != "identity":
            self.set_header("Content-Encoding", coding)
        self.finish(asset.bodies[coding])


class FrontHandler(AssetHandler):
    """Answers with a page for those who come without a link."""

    def get(self) -> None:
        """Answer with the page."""
        self._send(self.services.assets.files[FRONT], _ASK_EACH_TIME)

    head = get


class ViewHandler(AssetHandler):
    """Answers with the viewer."""

    def get(self) -> None:
        """Answer with the page."""
        self._send(self.services.assets.files[PAGE], _ASK_EACH_TIME)

    head = get


class FileHandler(AssetHandler):
    """Answers with the files that the pages are made of."""

    def get(self, path: str) -> None:
        """Answer with the file at a path, which may begin with a digest."""
        assets = self.services.assets
        # Pages of other origins may import the client from here. It is no secret.
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin")
        digest, _, name = path.partition("/")
        if path in assets.files:
            self._send(assets.files[path], _ASK_EACH_TIME)
        elif name in assets.files:
            self._send(assets.files[name], _KEEP_FOR_GOOD if digest == assets.digest else _KEEP_NOTHING)
        else:
            raise HTTPError(HTTPStatus.NOT_FOUND)

    head = get


def view_of(request: Request) -> str | None:
    """Return where a browser is led that asks for lines as if they were a page; None for all other requests.

    The address is relative, for there may be a path in front that only a proxy knows. Token and parameters go into the
    fragment, which no browser sends.
    """
    is_link = "token" in request.query_arguments and "Upgrade" not in request.headers
    if not is_link or not _wants_page(request.headers):
        return None
    return f"view#{request.query}"


def _wants_page(headers: Headers) -> bool:
    destination = headers.get("Sec-Fetch-Dest")
    return destination == "document" if destination is not None else "text/html" in headers.get("Accept", "")
