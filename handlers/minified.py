"""Scripts and styles without what only people need: comments, spaces, long names.

The minifier is written in Go. It runs for a moment in a process of its own, because the runtime of Go would stay in the
server for good, with five threads, signal handlers and 13 MiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES = {".css": "text/css", ".js": "text/javascript"}
# Enough for a machine that has much else to do.
_TIMEOUT_SECONDS = 60


def minified(texts: Mapping[str, str]) -> dict[str, str]:
    """Return texts by their names, those of scripts and styles minified.

    Raises subprocess.CalledProcessError if one of them cannot be read, and TimeoutExpired after a minute.
    """
    # -P: modules beside this file have names that the standard library has too.
    arguments = [sys.executable, "-P", __file__]
    given = json.dumps(dict(texts)).encode()
    done = subprocess.run(arguments, input=given, stdout=subprocess.PIPE, timeout=_TIMEOUT_SECONDS, check=True)  # noqa: S603 - nothing of it comes from outside
    small: dict[str, str] = json.loads(done.stdout)
    return small


def _main() -> None:
    import minify  # noqa: PLC0415 - this process alone has it

    small = json.load(sys.stdin)
    for name, text in small.items():
        if media_type := _TYPES.get(PurePath(name).suffix):
            small[name] = minify.string(media_type, text)
    json.dump(small, sys.stdout)


if __name__ == "__main__":
    _main()
