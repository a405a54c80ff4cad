"""The files of the viewer, read once: minified, compressed and named after their content.

The pages are asked for each time, with an ETag. All else they name by a path with the digest of the whole folder, so
that a browser keeps it for good, never mixes two versions, and asks once for whatever has changed. Modules name each
other by relative paths, so they stay under that digest without a build that rewrites them. Those of the page itself are
served as one.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cramjam

from handlers.bundle import joined
from handlers.minified import minified

if TYPE_CHECKING:
    from collections.abc import Mapping

VIEWER = Path(__file__).parents[1] / "viewer"
PAGE, FRONT = "view.html", "index.html"
# What the page runs, and the element for other pages: each is served as one module with all that it imports.
JOINED = ("start.js", "element.js")
# Where files are, as seen from the pages, which are beside this folder and not in it.
FOLDER = "view"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_REFERENCE = re.compile(r'(?<=href="|.src=")[\w./-]+(?=")')
_DIGEST_CHARACTERS = 16


class Asset(NamedTuple):
    """A file as it is served."""

    media_type: str
    digest: str
    bodies: Mapping[str, bytes]  # by content coding (RFC 9110, section 8.4.1), the smallest first


class Assets:
    """The files of a folder, by their paths in it, and the digest of all of them."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        whole = {**texts, **{name: joined(name, texts) for name in JOINED if name in texts}}
        small = minified(whole)
        self.digest = _digest("\0".join(part for pair in sorted(small.items()) for part in pair))
        self.files = {name: _asset(name, self._linked(name, small)) for name in small}

    @classmethod
    def read(cls, folder: Path) -> Assets:
        """Read a folder. Files of other types than a page needs are left out."""
        paths = [path for path in sorted(folder.rglob("*")) if path.suffix in _TYPES]
        return cls({path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths})

    def _linked(self, name: str, texts: Mapping[str, str]) -> str:
        """Return a text; a page with the lasting names of what it refers to."""
        text = texts[name]
        if name not in {PAGE, FRONT}:
            return text
        return _REFERENCE.sub(lambda match: self._path(match[0]) if match[0] in texts else match[0], text)

    def _path(self, name: str) -> str:
        return f"{FOLDER}/{self.digest}/{name}"


@cache
def viewer_assets() -> Assets:
    """Return the files of the viewer."""
    return Assets.read(VIEWER)


def _asset(name: str, text: str) -> Asset:
    data = text.encode()
    bodies = {
        "br": bytes(cramjam.brotli.compress(data, level=11)),
        "gzip": gzip.compress(data, 9, mtime=0),
        "identity": data,
    }
    return Asset(_TYPES[Path(name).suffix], _digest(text), bodies)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]
