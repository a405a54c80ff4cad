"""Deaths: how a command ends that was interrupted, or whose reader has gone. Quietly, as other tools do."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def die_of(number: int, _frame: FrameType | None = None) -> None:
    """End this process by a signal, so that a shell sees by which one; nothing is printed or cleaned up."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    # Process 1 of a container is spared by signals that it does not handle.
    os._exit(128 + number)


def die_quietly() -> None:
    """From now on, let Ctrl-C and SIGTERM end this process without a word, even while it writes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, die_of)
