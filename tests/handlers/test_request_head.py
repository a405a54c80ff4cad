from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPServerRequest, parse_request_start_line

from handlers.request_head import content_length, parse_head, parse_upgrade
from tests.wire import head

PATH = "/_ingest/fluentbit"


def test_what_fluent_bit_sends_is_taken_apart() -> None:
    found = parse_head(head(PATH, "content-LENGTH:\t17 ", "Fluent-Tag: kube.x", "Authorization: Token s", "X-B3-a1: z"))
    assert found is not None
    assert found.fields == {
        "Host": "logurt",
        "Content-Length": "17",
        "Fluent-Tag": "kube.x",
        "Authorization": "Token s",
        "X-B3-A1": "z",
    }
    assert (found.length, found.keep_alive, found.credentials) == (17, True, ["Token s"])


def test_credentials_stay_apart_and_other_fields_of_one_name_are_joined() -> None:
    found = parse_head(head(PATH, "Authorization: Basic x", "A: 1\t ", "a: 2", "authorization: Token s "))
    assert found is not None
    assert (found.credentials, found.fields["A"]) == (["Basic x", "Token s"], "1,2")


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("Content-Length: 3", "Expect: 100-continue"),
        ("Transfer-Encoding: chunked",),
        ("Content-Length: 0", "Connection: Upgrade", "Upgrade: websocket"),
        ("Content-Length: 3", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
    ],
)
def test_a_head_that_asks_for_more_than_to_take_a_body_has_no_length(fields: tuple[str, ...]) -> None:
    found = parse_head(head(PATH, *fields))
    assert found is None or found.length is None


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
        b"POST / HTTP/1.1\r\n: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\nContent-Length: 3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n Content-Length: 3\r\n\r\n",
    ],
)
def test_a_head_that_could_be_read_in_two_ways_is_not_ours(data: bytes) -> None:
    found = parse_head(data)
    assert found is None or found.length is None


@pytest.mark.parametrize("hosts", [b"", b"Host: x\r\nHost: y\r\n", b"Host: x\r\nhost: x\r\n"])
def test_without_exactly_one_host_a_head_is_not_ours(hosts: bytes) -> None:
    found = parse_head(b"POST / HTTP/1.1\r\n%bContent-Length: 3\r\n\r\n" % hosts)
    assert found is not None
    assert found.length is None


@pytest.mark.parametrize("length", [0, 3])
@pytest.mark.parametrize(
    ("field", "keep_alive"),
    [
        ("Connection: close", False),
        ("connection: TE,\tClose ", False),
        ("Connection: keep-alive\r\nConnection: close", False),
        ("Connection: keep-alive", True),
        ("Connection: closed", True),
        ("X-Connection: close", True),
    ],
)
def test_a_head_says_whether_another_request_may_follow(field: str, keep_alive: bool, length: int) -> None:  # noqa: FBT001
    found = parse_head(head(PATH, f"Content-Length: {length}", field))
    assert found is not None
    assert (found.keep_alive, found.length) == (keep_alive, length)


@given(st.binary(max_size=200))
def test_no_head_is_too_odd_to_be_looked_at(data: bytes) -> None:
    parse_head(b"POST /_ingest/fluentbit HTTP/1.1\r\n" + data + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("value", "length"),
    [("0", 0), ("17", 17), ("", None), ("-1", None), ("+1", None), ("1_0", None), ("\u0663", None), ("9" * 30, None)],
)
def test_a_length_is_a_short_decimal_number(value: str, length: int | None) -> None:
    assert content_length({"Content-Length": value}) == length


def upgrade(target: str, *fields: str, version: str = "1.1") -> bytes:
    lines = [f"GET {target} HTTP/{version}", "Host: logurt:8080", "Connection: Upgrade", "Upgrade: websocket", *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def test_what_a_reader_sends_is_taken_apart() -> None:
    found = parse_upgrade(upgrade("/logs?pod=a%20b&pod=c&tail=", "sec-websocket-KEY: x"), "/logs", "10.0.0.1")
    assert found is not None
    assert found.query == "pod=a%20b&pod=c&tail="
    assert found.query_arguments == {"pod": [b"a b", b"c"], "tail": [b""]}
    assert (found.host, found.remote_ip, found.version) == ("logurt:8080", "10.0.0.1", "HTTP/1.1")
    assert found.headers["Sec-Websocket-Key"] == "x"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        upgrade("/logs?a=b")[:-1],
        upgrade("/logs?a=b") + b"x",
        upgrade("/logs?a=b", version="1.0"),
        upgrade("/logsx?a=b"),
        upgrade("http://host/logs?a=b"),
        upgrade("/logs?a=b").replace(b"GET", b"POST"),
        upgrade("/logs?a=b").replace(b"Upgrade: websocket", b"Upgrade: h2c"),
        upgrade("/logs?a=b").replace(b"Upgrade: websocket\r\n", b""),
        upgrade("/logs?a=b").replace(b"Connection: Upgrade", b"Connection: close"),
        upgrade("/logs?a=b").replace(b"Host: logurt:8080\r\n", b""),
        upgrade("/logs?a=b", "Host: other"),
        upgrade("/logs?a=b").replace(b"logurt", b"user@logurt"),
        upgrade("/logs?a=b", "Content-Length: 0"),
        upgrade("/logs?a=b", "Transfer-Encoding: chunked"),
        upgrade("/logs?a=b", "Expect: 100-continue"),
        upgrade("/logs?a=b", " folded"),
        upgrade("/logs?a=b", "A : b"),
        upgrade("/logs?" + "&" * 101),
        upgrade("/logs?a=\xff"),
    ],
)
def test_any_other_request_is_not_a_readers(data: bytes) -> None:
    assert parse_upgrade(data, "/logs", "10.0.0.1") is None


WORDS = st.text(st.sampled_from("abc%&=+;/0"), max_size=20)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=10)


@given(
    query=WORDS,
    fields=st.lists(st.tuples(st.sampled_from(("X-A", "x-a", "Cookie", "SEC-websocket-protocol")), VALUES), max_size=5),
)
def test_a_reader_is_understood_as_tornado_understands_it(query: str, fields: list[tuple[str, str]]) -> None:
    sent = upgrade(f"/logs?{query}", *(f"{name}: {value}" for name, value in fields))
    found = parse_upgrade(sent, "/logs", "10.0.0.1")
    line, _, rest = sent.decode("latin-1").partition("\r\n")
    tornado = HTTPServerRequest(start_line=parse_request_start_line(line), headers=HTTPHeaders.parse(rest))
    assert found is not None
    assert found.query == tornado.query
    assert found.query_arguments == tornado.query_arguments
    assert found.host == tornado.host
    assert dict(found.headers) == dict(tornado.headers)
