"""How a command ends when it is interrupted or nobody reads its output any more: quietly, as other tools do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import FrameType


def die_of(number: int, _frame: FrameType | None = None) -> None:
    """End this process by a signal, so that a shell sees which one; nothing is printed or cleaned up."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    # The kernel spares process 1 of a container from signals that it does not handle.
    os._exit(128 + number)


def die_quietly() -> None:
    """From now on, let Ctrl-C and SIGTERM end this process without a word, even while it writes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, die_of)


def die_with_reader(output: int) -> None:
    """Die as soon as the reader of a pipe is gone, even if there is nothing to write for a long time.

    `output` is a file descriptor; other files than pipes are left alone. An event loop must be running.
    """
    if stat.S_ISFIFO(os.fstat(output).st_mode):
        asyncio.get_running_loop().add_reader(output, die_if_broken, output)


def die_if_broken(pipe: int) -> None:
    """Die if nobody can read from a pipe any more."""
    poll = select.poll()
    poll.register(pipe, 0)
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        die_of(signal.SIGPIPE)


async def until_signal(work: Coroutine[None, None, None]) -> signal.Signals | None:
    """Run work until it ends or a signal cancels it; return the signal. While it cleans up, later ones do nothing."""
    loop, task = asyncio.get_running_loop(), asyncio.create_task(work)
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if not received:
            task.cancel()
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return received[0] if received else None
