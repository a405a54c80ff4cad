"""Which source a record comes from: its `kubernetes` object, or the name of its log file in the tag."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from buffer.source import Source, sorted_labels
from ingest.fluentbit import messagepack, repair

if TYPE_CHECKING:
    from collections.abc import Callable

Lookup: TypeAlias = "Callable[[msgspec.Raw], Source | None]"

# A DNS subdomain, the longest name that Kubernetes knows (RFC 1123).
_LONGEST_NAME = 253
# Sources with more than this are kept without labels: too little is admitted then, never too much.
_LONGEST_LABELS = 64 << 10
# An escaped character takes six bytes of JSON for two of UTF-8; beyond this, labels are not even decoded.
_LONGEST_RAW_LABELS = 4 * _LONGEST_LABELS
# What is remembered: metadata up to 8 KiB, of so many sources.
_CACHED_BYTES = 8 << 10
_CACHED_SOURCES = 512
_LONGEST_TAG = 1024

# The kubelet names a log file <pod>_<namespace>_<container>-<container id>.log; a tag has dots for slashes.
_LOG_FILE = re.compile(
    r"(?:^|[./])containers[./]([A-Za-z0-9.-]{1,253})_([A-Za-z0-9-]{1,63})_([A-Za-z0-9-]{1,63})"
    r"-[0-9a-f]{64}\.log$"
)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PACKED_MEMBERS = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def from_tag(tag: str) -> Source | None:
    """Return the source that a Fluent Bit tag names, without labels."""
    return _from_tag(tag) if tag and len(tag) <= _LONGEST_TAG else None


def from_json(raw: msgspec.Raw) -> Source | None:
    """Return the source that a `kubernetes` value in JSON names; None without a usable namespace."""
    data = bytes(raw)
    return _from_json(data) if len(data) <= _CACHED_BYTES else _from_json.__wrapped__(data)


def from_messagepack(raw: msgspec.Raw) -> Source | None:
    """Return the source that a `kubernetes` value in MessagePack names; None without a usable namespace."""
    data = bytes(raw)
    return _from_messagepack(data) if len(data) <= _CACHED_BYTES else _from_messagepack.__wrapped__(data)


def completed(source: Source | None, tagged: Source | None) -> Source | None:
    """Return the source with what only the tag knows; the tag fills in, it never contradicts."""
    if source is None or tagged is None:
        return source or tagged
    if (source.pod and source.container) or source.namespace != tagged.namespace:
        return source
    if source.pod not in ("", tagged.pod) or source.container not in ("", tagged.container):
        return source
    return Source(source.namespace, tagged.pod, tagged.container, source.labels)


@lru_cache(_CACHED_SOURCES)
def _from_tag(tag: str) -> Source | None:
    found = _LOG_FILE.search(tag)
    if found is None:
        return None
    pod, namespace, container = found.groups()
    return Source(namespace, pod, container)


@lru_cache(_CACHED_SOURCES)
def _from_json(data: bytes) -> Source | None:
    if not data.startswith(b"{") or repair.is_crowded(data):
        return None
    try:
        return _named(_MEMBERS.decode(data), msgspec.json.decode)
    except _BROKEN:
        pass
    try:
        return _named(_MEMBERS.decode(repair.mend(data)), msgspec.json.decode)
    except _BROKEN:
        return None


@lru_cache(_CACHED_SOURCES)
def _from_messagepack(data: bytes) -> Source | None:
    try:
        if len(data) <= messagepack.LARGE:
            return _named(_PACKED_MEMBERS.decode(data), msgspec.msgpack.decode)
    except _BROKEN:
        pass
    try:
        return _from_json.__wrapped__(messagepack.as_json(data))
    except messagepack.MalformedError:
        return None


def _named(members: dict[str, msgspec.Raw], decode: Callable[[msgspec.Raw], Any]) -> Source | None:
    """Build a source of both spellings: Fluent Bit's own, and the documented short one."""

    def name(*keys: str) -> str:
        for key in keys:
            value = decode(members[key]) if key in members and len(members[key]) < _CACHED_BYTES else ""
            if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME:
                return value
        return ""

    namespace = name("namespace_name", "namespace")
    if not namespace:
        return None
    labels = _labels(members["labels"], decode) if "labels" in members else {}
    return Source(namespace, name("pod_name", "pod"), name("container_name", "container"), sorted_labels(labels))


def _labels(raw: msgspec.Raw, decode: Callable[[msgspec.Raw], Any]) -> dict[str, str]:
    value = decode(raw) if len(raw) <= _LONGEST_RAW_LABELS else None
    if not isinstance(value, dict):
        return {}
    labels = {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}
    if sum(len(key.encode()) + len(text.encode()) for key, text in labels.items()) > _LONGEST_LABELS:
        return {}
    return labels
