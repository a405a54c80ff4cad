from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from buffer.source import Source
from ingest.fluentbit import metadata

HASH = "0123456789abcdef" * 4
OWN = {"pod_name": "web-1", "namespace_name": "shop", "container_name": "app", "labels": {"b": "2", "a": "1"}}
SOURCE = Source("shop", "web-1", "app", (("a", "1"), ("b", "2")))


def both(value: Any) -> Source | None:
    """Read metadata from JSON and from MessagePack; they must agree."""
    packed = metadata.of_record(msgspec.Raw(msgspec.msgpack.encode(value)))
    assert metadata.of_record(msgspec.Raw(json.dumps(value).encode())) == packed
    return packed


def of_tag(tag: str) -> Source | None:
    return metadata.of_headers({"Fluent-Tag": tag})


def test_both_spellings_name_a_source() -> None:
    assert both(OWN) == SOURCE
    assert both({"namespace": "shop", "pod": "web-1", "container": "app", "labels": {"a": "1", "b": "2"}}) == SOURCE


def test_a_namespace_is_enough() -> None:
    assert both({"namespace_name": "shop"}) == Source("shop")


@pytest.mark.parametrize("value", [None, "x", 5, [], {}, {"pod_name": "a"}, {"namespace_name": ""}, {"namespace": 5}])
def test_without_a_namespace_there_is_no_source(value: object) -> None:
    assert both(value) is None


@pytest.mark.parametrize("name", ["n" * 254, "n" * 20_000, 5, None, ["shop"]])
def test_names_that_are_none_are_left_out(name: object) -> None:
    assert both({"namespace_name": name}) is None
    assert both({"namespace_name": "shop", "pod_name": name, "container_name": name}) == Source("shop")


def test_labels_that_are_not_text_are_left_out() -> None:
    assert both({"namespace": "shop", "labels": {"a": "1", "b": 2, "c": None}}) == Source("shop", labels=(("a", "1"),))
    assert both({"namespace": "shop", "labels": ["a"]}) == Source("shop")


@pytest.mark.parametrize("size", [65_000, 300_000])
def test_too_many_labels_are_left_out_altogether(size: int) -> None:
    assert both({"namespace": "shop", "labels": {"a": "x" * size, "b": "y" * 1000}}) == Source("shop")


def test_large_metadata_is_read_as_well() -> None:
    assert both({**OWN, "annotations": {"note": "x" * 300_000}}) == SOURCE
    assert both({**OWN, "annotations": {"note": "x" * 10_000}}) == SOURCE


def test_broken_text_elsewhere_does_not_hide_the_source() -> None:
    data = b'{"namespace":"shop","note":"\xff","labels":{"a":"\xff"}}'
    assert metadata.of_record(msgspec.Raw(data)) == Source("shop", labels=(("a", "\ufffd"),))
    packed = b"\x82\xa9namespace\xa4shop\xa6labels\x81\xa1a\xa1\xff"
    assert metadata.of_record(msgspec.Raw(packed)) == Source("shop", labels=(("a", "\ufffd"),))


@pytest.mark.parametrize("data", [b"", b"{", b'{"namespace":}', b'{"a":' * 5000, b"\x81\xa1", b"\x81\x90\x01", b"5"])
def test_broken_metadata_names_no_source(data: bytes) -> None:
    assert metadata.of_record(msgspec.Raw(data)) is None


def test_millions_of_members_name_no_source() -> None:
    assert metadata.of_record(msgspec.Raw(b'{"namespace":"shop"' + b',"a":1' * 300_000 + b"}")) is None


@pytest.mark.parametrize(
    "tag",
    [
        f"kube.var.log.containers.web.v1-0_shop_app-{HASH}.log",
        f"kube./var/log/containers/web.v1-0_shop_app-{HASH}.log",
        f"containers.web.v1-0_shop_app-{HASH}.log",
    ],
)
def test_the_log_file_in_a_tag_names_a_source(tag: str) -> None:
    assert of_tag(tag) == Source("shop", "web.v1-0", "app")


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "kube.*",
        f"web_shop_app-{HASH}.log",
        "containers.web_shop_app-123.log",
        f"containers.web_s.x_app-{HASH}.log",
        f"containers.web_a_b_app-{HASH}.log",
        f"containers.web_shop_app-{HASH}.log.1",
        "containers." * 9000,
    ],
)
def test_another_tag_names_none(tag: str) -> None:
    assert of_tag(tag) is None


def test_of_two_headers_that_of_fluent_bit_itself_counts() -> None:
    tags = [f"containers.{pod}_shop_app-{HASH}.log" for pod in ("a", "b")]
    assert metadata.of_headers({"X-Fluent-Tag": tags[0]}) == Source("shop", "a", "app")
    assert metadata.of_headers({"X-Fluent-Tag": tags[0], "Fluent-Tag": tags[1]}) == Source("shop", "b", "app")
    assert metadata.of_headers({}) is None


TAGGED = Source("shop", "web-1", "app")
LABELS = (("a", "1"),)


@pytest.mark.parametrize(
    ("source", "settled"),
    [
        (None, TAGGED),
        (TAGGED, TAGGED),
        (Source("shop", labels=LABELS, owner="job/a"), Source("shop", "web-1", "app", LABELS, "job/a")),
        (Source("shop", "web-1", labels=LABELS), Source("shop", "web-1", "app", LABELS)),
        (Source("shop", "", "app"), TAGGED),
        (Source("shop", "web-1", "app", LABELS, "job/a"), Source("shop", "web-1", "app", LABELS, "job/a")),
    ],
)
def test_a_tag_fills_in_what_the_metadata_lacks(source: Source | None, settled: Source) -> None:
    assert metadata.settled(source, TAGGED) == (settled, False)


@pytest.mark.parametrize(
    ("source", "settled"),
    [
        (Source("victim", "web-1", "app", LABELS, "job/a"), TAGGED),
        (Source("shop", "web-2", "app", LABELS, "job/a"), TAGGED),
        (Source("victim"), TAGGED),
        (Source("shop", "web-1", "side", LABELS, "job/a"), Source("shop", "web-1", "app", LABELS, "job/a")),
        (Source("shop", "", "side", LABELS), Source("shop", "web-1", "app", LABELS)),
    ],
)
def test_where_tag_and_metadata_contradict_each_other_the_tag_is_right(source: Source, settled: Source) -> None:
    assert metadata.settled(source, TAGGED) == (settled, True)


def test_without_a_tag_the_metadata_is_believed() -> None:
    assert metadata.settled(Source("a"), None) == (Source("a"), False)
    assert metadata.settled(None, None) == (None, False)


def owner_of(*references: Any) -> str:
    source = both({"namespace": "shop", "ownerReferences": [*references]})
    assert source is not None
    return source.owner


WEB = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9c6f5", "uid": "0", "controller": True}


def test_the_controller_among_the_owners_is_the_owner() -> None:
    assert owner_of(WEB) == "replicaset/web-7d4b9c6f5"
    assert owner_of({**WEB, "controller": False, "kind": "A"}, {"kind": "B"}, WEB) == "replicaset/web-7d4b9c6f5"


@pytest.mark.parametrize(
    "reference",
    [
        {**WEB, "controller": False},
        {**WEB, "controller": "true"},
        {**WEB, "name": ""},
        {**WEB, "name": 5},
        {**WEB, "name": "a/b"},
        {**WEB, "name": "a" * 254},
        {**WEB, "kind": None},
        "web",
    ],
)
def test_an_odd_owner_is_none(reference: object) -> None:
    assert owner_of(reference) == ""


@pytest.mark.parametrize("references", [None, "a", {}, WEB, 5, [[]] * 80_000])
def test_owners_that_are_no_list_are_none(references: object) -> None:
    source = both({"namespace": "shop", "ownerReferences": references})
    assert source in (Source("shop"), None)
