"""Subjects: one for the chunks of each namespace, one for the epoch.

    logurt.<namespace>        what is stored, in the stream
    logurt.$epoch             the epoch message, in the stream too
    logurt-live.<namespace>   each message again as soon as it is stored, for all who listen
    logurt-peers              replicas that publish say so

A part of a subject must not hold dots, blanks, `*` or `>`, and servers bound the length of a line of their protocol. So
whatever is no letter, digit, `_` or `-` is percent-encoded, and a namespace that gets too long is named by its hash.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

MAX_CHARACTERS = 200

_ODD = re.compile(rb"[^A-Za-z0-9_-]")


@lru_cache(maxsize=4096)
def encode_namespace(namespace: str) -> str:
    """Return the part of a subject that stands for a namespace; no two namespaces share one."""
    data = namespace.encode("utf-8", "surrogatepass")
    encoded = _ODD.sub(lambda match: b"%%%02X" % match[0][0], data).decode()
    # Nothing that is encoded holds an equals sign.
    return encoded if len(encoded) <= MAX_CHARACTERS else f"={sha256(data).hexdigest()}"


class Subjects:
    """The subjects that belong to a stream: they begin with its name in small letters."""

    def __init__(self, stream: str) -> None:
        self._prefix = stream.lower()
        self.stored = f"{self._prefix}.*"
        self.epoch = f"{self._prefix}.$epoch"
        self.live_epoch = f"{self._prefix}-live.$epoch"
        self.live_template = f"{self._prefix}-live.{{{{wildcard(1)}}}}"  # what the server makes of `stored`
        self.peers = f"{self._prefix}-peers"

    def of(self, namespace: str) -> str:
        """Return the subject that a namespace is stored under."""
        return f"{self._prefix}.{encode_namespace(namespace)}"

    def live(self, namespace: str) -> str:
        """Return the subject on which a namespace can be heard."""
        return f"{self._prefix}-live.{encode_namespace(namespace)}"
