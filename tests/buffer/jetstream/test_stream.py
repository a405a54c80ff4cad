from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from buffer.jetstream.stream import StreamRefused

if TYPE_CHECKING:
    from tests.buffer.jetstream.doubles import Replicas
    from tests.buffer.jetstream.nats_server import StartNats


async def test_the_first_replica_makes_the_stream(replicas: Replicas) -> None:
    await replicas.start(max_bytes=32 << 20, max_age=1800)
    admin = await replicas.admin()
    config = (await admin.do("INFO"))["config"]
    await admin.close()
    prefix = replicas.stream.lower()
    assert config["subjects"] == [f"{prefix}.*"]
    assert config["republish"] == {"src": f"{prefix}.*", "dest": f"{prefix}-live.{{{{wildcard(1)}}}}"}
    assert (config["max_bytes"], config["max_age"], config["storage"]) == (32 << 20, 1800 * 10**9, "file")
    assert (config["duplicate_window"], config["max_msgs_per_subject"]) == (600 * 10**9, 32_768)
    assert config["allow_direct"]
    assert config["allow_msg_ttl"]


async def test_lines_that_are_kept_for_less_than_that_bound_the_window_of_duplicates(replicas: Replicas) -> None:
    broker, _ = await replicas.start(max_age=60)
    assert not broker.problem


async def refused(made: Replicas, **settings: Any) -> str:
    with pytest.raises(StreamRefused) as raised:
        await made.start(**settings)
    return raised.value.problem


async def test_a_reservation_that_does_not_fit_is_refused(replicas: Replicas) -> None:
    problem = await refused(replicas, max_bytes=1 << 50)
    assert problem == f"NATS refuses the stream {replicas.stream}: insufficient storage resources available (10047)"


async def test_more_copies_than_there_are_servers_are_refused(replicas: Replicas) -> None:
    assert "replicas > 1 not supported in non-clustered mode" in await refused(replicas, replicas=3)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"allow_msg_ttl": False}, "has allow_msg_ttl False, and needs True"),
        ({"republish": None}, "has republish None, and needs"),
        ({"allow_direct": False}, "has allow_direct False, and needs True"),
        ({"discard": "new"}, "does not discard old messages for new ones"),
        ({"max_msg_size": 1000}, "max_msg_size of the stream {} is 1000 bytes, and a line of MAX_LINE_KIB may take"),
        ({"max_age": 700 * 10**9}, "max_age of the stream {} is 700 seconds, less than BUFFER_MAX_AGE_MINUTES"),
    ],
)
async def test_a_stream_that_was_made_otherwise_is_refused(
    replicas: Replicas, change: dict[str, Any], problem: str
) -> None:
    await replicas.start()
    admin = await replicas.admin()
    config = (await admin.do("INFO"))["config"]
    await admin.do("DELETE")
    assert "error" not in await admin.do("CREATE", **config | change)
    await admin.close()
    assert problem.format(replicas.stream) in await refused(replicas)


async def test_a_server_that_takes_no_message_as_large_as_a_line_may_be_is_refused(
    replicas: Replicas, start_nats: StartNats
) -> None:
    problem = await refused(replicas, url=start_nats("max_payload: 65536").url)
    assert problem == "max_payload of NATS is 65536 bytes, and a line of MAX_LINE_KIB may take 524288"


async def test_a_server_without_jetstream_takes_nothing(
    replicas: Replicas, start_nats: StartNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("buffer.jetstream.broker._START_SECONDS", 0.2)
    broker, _ = await replicas.start(url=start_nats(jetstream=False).url)
    assert broker.problem == "no leader answers for the stream"
