"""What all commands share: sentences on standard error, standard output, and the end with its exit code."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import TYPE_CHECKING, BinaryIO

from cli.errors import Failure
from cli.signals import die_of

if TYPE_CHECKING:
    from collections.abc import Coroutine


def tell(sentence: str) -> None:
    """Print a sentence for the user."""
    print(f"logurt: {sentence}", file=sys.stderr, flush=True)


def give_up(failure: Failure) -> int:
    """Print what failed and what to do about it; return the exit code."""
    tell("\n".join(filter(None, (str(failure), failure.hint))))
    return failure.exit_code


def open_stdout() -> BinaryIO:
    """Return standard output as a writer of our own: that of sys.stdout may be unbuffered, and then writes in part."""
    return open(sys.stdout.fileno(), "wb", closefd=False)


def finish(work: Coroutine[None, None, None]) -> int:
    """Run a command's work to its end; return the exit code. Dies if nobody reads the output any more."""
    # The commands report trouble with connections themselves.
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    try:
        asyncio.run(work)
    except BrokenPipeError:
        die_of(signal.SIGPIPE)
    except Failure as failure:
        return give_up(failure)
    except OSError as error:
        tell(f"cannot write: {error.strerror}")
        return 1
    return 0
