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
    packed = metadata.from_messagepack(msgspec.Raw(msgspec.msgpack.encode(value)))
    assert metadata.from_json(msgspec.Raw(json.dumps(value).encode())) == packed
    return packed


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
    assert metadata.from_json(msgspec.Raw(data)) == Source("shop", labels=(("a", "\ufffd"),))
    packed = b"\x82\xa9namespace\xa4shop\xa6labels\x81\xa1a\xa1\xff"
    assert metadata.from_messagepack(msgspec.Raw(packed)) == Source("shop", labels=(("a", "\ufffd"),))


@pytest.mark.parametrize("data", [b"{", b'{"namespace":}', b'{"a":' * 5000, b"\x81\xa1"])
def test_broken_metadata_names_no_source(data: bytes) -> None:
    assert metadata.from_json(msgspec.Raw(data)) is None
    assert metadata.from_messagepack(msgspec.Raw(data)) is None


def test_millions_of_members_name_no_source() -> None:
    assert metadata.from_json(msgspec.Raw(b'{"namespace":"shop"' + b',"a":1' * 300_000 + b"}")) is None


@pytest.mark.parametrize(
    "tag",
    [
        f"kube.var.log.containers.web.v1-0_shop_app-{HASH}.log",
        f"kube./var/log/containers/web.v1-0_shop_app-{HASH}.log",
        f"containers.web.v1-0_shop_app-{HASH}.log",
    ],
)
def test_the_log_file_in_a_tag_names_a_source(tag: str) -> None:
    assert metadata.from_tag(tag) == Source("shop", "web.v1-0", "app")


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
    assert metadata.from_tag(tag) is None


def test_a_tag_fills_in_what_the_metadata_lacks() -> None:
    tagged = Source("shop", "web-1", "app")
    labels = (("a", "1"),)
    assert metadata.completed(None, tagged) is tagged
    assert metadata.completed(Source("shop", labels=labels), tagged) == Source("shop", "web-1", "app", labels)
    assert metadata.completed(Source("shop", "web-1"), tagged) == tagged


@pytest.mark.parametrize(
    "source", [Source("other"), Source("shop", "web-2"), Source("shop", "", "side"), Source("shop", "x", "y")]
)
def test_a_tag_never_contradicts_the_metadata(source: Source) -> None:
    assert metadata.completed(source, Source("shop", "web-1", "app")) is source
    assert metadata.completed(source, None) is source
