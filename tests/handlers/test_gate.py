from __future__ import annotations

import asyncio
import time

from handlers.gate import Gate


async def test_one_goes_through_in_each_pass_of_the_loop_in_order() -> None:
    gate, passes, through = Gate(), 0, list[tuple[int, int]]()

    async def enter(number: int) -> None:
        await gate.enter()
        through.append((number, passes))

    tasks = [asyncio.create_task(enter(number)) for number in range(5)]
    while len(through) < 5:
        await asyncio.sleep(0)
        passes += 1
    await asyncio.gather(*tasks)
    assert [number for number, _ in through] == [0, 1, 2, 3, 4]
    assert len({when for _, when in through}) == 5


async def test_a_few_with_light_work_go_through_together_but_not_with_others() -> None:
    gate, passes, through = Gate(), 0, list[tuple[int, int]]()

    async def enter(number: int, *, light: bool) -> None:
        await gate.enter(light=light)
        through.append((number, passes))

    tasks = [asyncio.create_task(enter(number, light=number not in {0, 6})) for number in range(9)]
    while len(through) < 9:
        await asyncio.sleep(0)
        passes += 1
    await asyncio.gather(*tasks)
    assert [number for number, _ in through] == list(range(9))
    groups = [[number for number, when in through if when == one] for one in sorted({when for _, when in through})]
    assert groups == [[0], [1, 2, 3, 4], [5], [6], [7, 8]]


async def test_those_who_give_up_let_the_next_ones_through() -> None:
    gate = Gate()
    await gate.enter()
    tasks = [asyncio.create_task(gate.enter(light=number > 1)) for number in range(4)]
    await asyncio.sleep(0)
    for task in tasks[:2]:
        task.cancel()
    await asyncio.wait_for(asyncio.gather(*tasks[2:]), 1)
    await asyncio.sleep(0)
    await asyncio.wait_for(gate.enter(), 1)
    assert len(gate) == 0


async def test_an_open_gate_keeps_nobody() -> None:
    gate = Gate()
    for _ in range(3):
        await gate.enter()
        await asyncio.sleep(0)
    assert len(gate) == 0


async def test_one_who_gives_up_keeps_nobody_waiting() -> None:
    gate = Gate()
    tasks = [asyncio.create_task(gate.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait_for(tasks[2], 1)
    assert len(gate) == 0


async def test_long_work_is_followed_by_as_long_a_time_for_others() -> None:
    gate, loop = Gate(), asyncio.get_running_loop()
    began = loop.time()
    for _ in range(3):
        await gate.enter()
        time.sleep(0.02)  # noqa: ASYNC251 - this is the work
    assert loop.time() - began >= 5 * 0.02
