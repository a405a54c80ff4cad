"""Which source a record comes from: its `kubernetes` object, and the name of its log file in the tag."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from buffer.source import Source, sorted_labels
from ingest.fluentbit import packed
from ingest.fluentbit.mend import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A DNS subdomain, the longest name that Kubernetes knows (RFC 1123).
_LONGEST_NAME = 253
# Sources with more than this are kept without labels: too little is admitted then, never too much.
_LONGEST_LABELS = 64 << 10
# An escaped character takes six bytes of JSON for two of UTF-8; beyond this, labels are not even decoded.
_LONGEST_RAW_LABELS = 4 * _LONGEST_LABELS
# Fluent Bit leaves metadata out if a pod takes more than 32 KiB of JSON (Buffer_Size of its filter), unless told to.
_LONGEST_METADATA = 512 << 10
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


def of_headers(headers: Mapping[str, str]) -> Source | None:
    """Return the source that the tag in a request's headers names, without labels; None if it names none."""
    tag = headers.get("Fluent-Tag", "") or headers.get("X-Fluent-Tag", "")
    return _of_tag(tag) if tag and len(tag) <= _LONGEST_TAG else None


def of_record(kubernetes: msgspec.Raw) -> Source | None:
    """Return the source that a `kubernetes` value names, in JSON or MessagePack; None without a usable namespace."""
    data = bytes(kubernetes)
    return _of_record(data) if len(data) <= _CACHED_BYTES else _of_record.__wrapped__(data)


def settled(source: Source | None, tagged: Source | None) -> tuple[Source | None, bool]:
    """Return where a line belongs by its record and its tag, and whether they contradict each other.

    The tag fills in what the record lacks. Where they differ the tag is right, since no pod can choose the name of its
    log file; labels and owner of another pod are no longer true then.
    """
    if source is None or tagged is None or source is tagged:
        return source or tagged, False
    pod, container = source.pod or tagged.pod, source.container or tagged.container
    if source.namespace != tagged.namespace or pod != tagged.pod:
        return tagged, True
    if source.pod and source.container == tagged.container:
        return source, False
    completed = Source(tagged.namespace, tagged.pod, tagged.container, source.labels, source.owner)
    return completed, container != tagged.container


@lru_cache(_CACHED_SOURCES)
def _of_tag(tag: str) -> Source | None:
    found = _LOG_FILE.search(tag)
    if found is None:
        return None
    pod, namespace, container = found.groups()
    return Source(namespace, pod, container)


@lru_cache(_CACHED_SOURCES)
def _of_record(data: bytes) -> Source | None:
    if len(data) > _LONGEST_METADATA:
        return None
    try:
        if data.startswith(b"{"):
            return _named(_MEMBERS.decode(data), msgspec.json.decode)
        return _named(_PACKED_MEMBERS.decode(data), msgspec.msgpack.decode)
    except _BROKEN:
        pass
    try:
        mended = text_of(data).encode() if data.startswith(b"{") else packed.as_json(data)
        return _named(_MEMBERS.decode(mended), msgspec.json.decode)
    except _BROKEN:
        return None


def _named(members: dict[str, msgspec.Raw], decode: Callable[[msgspec.Raw], Any]) -> Source | None:
    """Build a source of both spellings: Fluent Bit's own, and the documented short one."""

    def name(*keys: str) -> str:
        for key in keys:
            value = decode(members[key]) if key in members and len(members[key]) < _CACHED_BYTES else ""
            if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME:
                return value
        return ""

    def large(key: str) -> Any:
        return decode(members[key]) if key in members and len(members[key]) <= _LONGEST_RAW_LABELS else None

    namespace = name("namespace_name", "namespace")
    if not namespace:
        return None
    labels, owner = _labels(large("labels")), _owner(large("ownerReferences"))
    return Source(namespace, name("pod_name", "pod"), name("container_name", "container"), sorted_labels(labels), owner)


def _labels(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    labels = {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}
    if sum(len(key.encode()) + len(text.encode()) for key, text in labels.items()) > _LONGEST_LABELS:
        return {}
    return labels


def _owner(value: object) -> str:
    """Return a pod's controller as `kind/name`, "" if it has none.

    With `owner_references` Fluent Bit copies the pod's `metadata.ownerReferences`, of which one at most is the
    controller (filter_kubernetes, kube_meta.c; Kubernetes, meta/v1 OwnerReference).
    """
    for reference in value if isinstance(value, list) else ():
        if not isinstance(reference, dict) or reference.get("controller") is not True:
            continue
        kind, name = reference.get("kind"), reference.get("name")
        if isinstance(kind, str) and isinstance(name, str) and _is_name(kind) and _is_name(name):
            return f"{kind}/{name}".lower()
    return ""


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_NAME and "/" not in text
