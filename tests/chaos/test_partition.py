"""A leader that is cut off from its peers, but not from the replicas that are connected to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from benchmarks.cluster.nats_server import Cluster
from benchmarks.cluster.processes import free_ports
from tests.buffer.jetstream.proxy import Proxy
from tests.chaos.seed import SEED
from tests.chaos.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZE = 3


class Divisible(Cluster):
    """A cluster whose nodes reach each other through proxies, one for each direction."""

    def __init__(self, folder_factory: pytest.TempPathFactory) -> None:
        self.ways = {(a, b): 0 for a in range(_SIZE) for b in range(_SIZE) if a != b}
        self.ways = dict(zip(self.ways, free_ports(len(self.ways)), strict=True))
        self.proxies: dict[tuple[int, int], Proxy] = {}
        super().__init__(folder_factory.mktemp("cluster"), _SIZE, self._routes, "--no_advertise=true")

    def _routes(self, node: int) -> list[int]:
        return [port for (a, _), port in self.ways.items() if a == node]

    async def connect(self) -> None:
        """Let the nodes reach each other."""
        for (a, b), port in self.ways.items():
            self.proxies[a, b] = Proxy(self.routes[b], raw=True)
            await self.proxies[a, b].start(port)

    def isolate(self, node: int) -> None:
        for way, proxy in self.proxies.items():
            if node in way:
                proxy.hold()

    def heal(self) -> None:
        for proxy in self.proxies.values():
            proxy.let_go()


@pytest.fixture
def divisible(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Divisible]:
    made = Divisible(tmp_path_factory)
    made.start()
    yield made
    made.kill()


@pytest.mark.timeout(150)
@pytest.mark.logs
async def test_a_leader_that_is_isolated_is_left(divisible: Divisible, capsys: pytest.CaptureFixture[str]) -> None:
    await divisible.connect()
    await divisible.ready()
    world = World([divisible.urls] * 3, seed=SEED)
    await world.start()
    await asyncio.sleep(3)
    leader = await divisible.leader("CHAOS")
    divisible.isolate([node.name for node in divisible.nodes].index(leader))
    await asyncio.sleep(15)
    divisible.heal()
    await asyncio.sleep(8)
    errors = await world.finish()
    for proxy in divisible.proxies.values():
        await proxy.close()
    with capsys.disabled():
        print(f"\nisolated leader, seed {SEED}: {world.summary()}")  # noqa: T201 - what a run is for
    assert not errors, "\n".join(errors[:40])
