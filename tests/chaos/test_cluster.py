"""Three nats-servers, three replicas, and what may befall them; each line is accounted for at each reader."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.seed import SEED
from tests.chaos.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.cluster.nats_server import Cluster, NatsServer


async def leader(world: World, cluster: Cluster) -> NatsServer:
    """Return the node that leads the stream."""
    return await _node(world, cluster, lambda name, leads: name == leads)


async def another(world: World, cluster: Cluster) -> NatsServer:
    """Return a node that does not lead the stream."""
    return await _node(world, cluster, lambda name, leads: name != leads)


async def _node(world: World, cluster: Cluster, fits: Callable[[str, str], bool]) -> NatsServer:
    name = await cluster.leader("CHAOS")
    return world.random.choice([node for node in cluster.nodes if fits(node.name, name)])


async def kill_the_leader(world: World, cluster: Cluster) -> None:
    node = await leader(world, cluster)
    node.kill()
    await asyncio.sleep(10)
    await asyncio.to_thread(node.start)


async def freeze_the_leader(world: World, cluster: Cluster) -> None:
    node = await leader(world, cluster)
    node.signal(signal.SIGSTOP)
    await asyncio.sleep(10)
    node.signal(signal.SIGCONT)


async def kill_another(world: World, cluster: Cluster) -> None:
    node = await another(world, cluster)
    node.kill()
    await asyncio.sleep(5)
    await asyncio.to_thread(node.start)


async def kill_all(_: World, cluster: Cluster) -> None:
    for node in cluster.nodes:
        node.kill()
    await asyncio.sleep(1)
    await asyncio.to_thread(cluster.start)


async def kill_two(world: World, cluster: Cluster) -> None:
    nodes = world.random.sample(cluster.nodes, 2)
    for node in nodes:
        node.kill()
    await asyncio.sleep(4)
    for node in nodes:
        await asyncio.to_thread(node.start)


@pytest.mark.timeout(150)
@pytest.mark.logs
@pytest.mark.parametrize("fault", [kill_the_leader, freeze_the_leader, kill_another, kill_two, kill_all])
async def test_every_line_is_accounted_for(
    cluster: Cluster, fault: Callable[[World, Cluster], Awaitable[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    await cluster.ready()
    world = World([cluster.urls] * 3, seed=SEED)
    await world.start()
    await asyncio.sleep(3)
    await fault(world, cluster)
    await asyncio.sleep(8)
    errors = await world.finish()
    with capsys.disabled():
        print(f"\n{fault.__name__}, seed {SEED}: {world.summary()}")  # noqa: T201 - what a run is for
    assert not errors, "\n".join(errors[:40])


@pytest.mark.timeout(150)
@pytest.mark.logs
@pytest.mark.parametrize("fault", [kill_the_leader, freeze_the_leader, kill_another])
async def test_readers_that_come_while_a_replica_loads_a_namespace_miss_nothing(
    cluster: Cluster, fault: Callable[[World, Cluster], Awaitable[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    await cluster.ready()
    world = World([cluster.urls], seed=SEED)
    await world.start()
    for _ in range(4):
        world.send_passers_by(cluster.urls)
    await asyncio.sleep(3)
    await fault(world, cluster)
    await asyncio.sleep(8)
    errors = await world.finish()
    with capsys.disabled():
        print(f"\n{fault.__name__}, seed {SEED}: {world.passed} passed by; {world.summary()}")  # noqa: T201 - likewise
    assert not errors, "\n".join(errors[:40])
    assert world.passed > 100
