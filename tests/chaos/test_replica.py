"""A replica that is cut off for longer than messages are kept: what it has missed is told, and counted exactly."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.buffer.jetstream.proxy import Proxy
from tests.chaos.seed import SEED
from tests.chaos.world import World

if TYPE_CHECKING:
    from benchmarks.cluster.nats_server import NatsServer


@pytest.mark.timeout(120)
@pytest.mark.logs
@pytest.mark.parametrize("kept_seconds", [4, 30])
async def test_a_replica_that_hangs_for_fifteen_seconds(
    own_nats: NatsServer, kept_seconds: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("buffer.jetstream.shares.MIN_SECONDS", kept_seconds)
    proxy = Proxy(own_nats.port)
    await proxy.start()
    world = World([[own_nats.url], [own_nats.url], [proxy.url]], seed=SEED, copies=1, kept_bytes=1)
    await world.start()
    stay = world.watch(world.replicas[2])
    await asyncio.sleep(3)
    proxy.hold()
    await asyncio.sleep(15)
    proxy.let_go()
    await asyncio.sleep(5)
    errors = await world.finish()
    await proxy.close()
    with capsys.disabled():
        print(f"\n{kept_seconds} s kept, seed {SEED}: {world.summary()}")  # noqa: T201 - what a run is for
        print(f"one that stayed: {stay.missing} missing, {stay.lost} reported, {stay.unknown} unknown")  # noqa: T201
    assert not errors, "\n".join(errors[:40])
    assert (stay.missing > 0) == (kept_seconds < 15)
    assert stay.missing == stay.lost
    assert not stay.unknown
