"""What Linux knows about a process, and child processes that answer questions over a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[1]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a running process, all its threads together, to the nanosecond."""
    # A process's CPU clock has a number made from its pid: Linux, include/linux/posix-timers_types.h.
    return time.clock_gettime((~pid << 3) | 2)


def memory(pid: int, field: str = "VmRSS") -> int:
    """Return bytes of memory: `VmRSS` is what is resident now, `VmHWM` the most that ever was resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def reset_peak(pid: int) -> None:
    """Have `VmHWM` of a process start anew from what is resident now (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def surroundings() -> dict[str, str]:
    """Return what a reader of the figures wants to know about the machine."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "python": sys.version.split()[0],
        "system": f"{os.uname().sysname} {os.uname().release}",
        "processor": models[0].partition(":")[2].strip() if models else os.uname().machine,
        "cores": str(os.cpu_count()),
    }


class ChildFailed(Exception):
    """A child process of a benchmark ended early; `module` is what it ran."""

    def __init__(self, module: str) -> None:
        super().__init__(module)
        self.module = module

    def __str__(self) -> str:
        return f"{self.module} ended early; what it said is above"


class Child:
    """A module that runs in a process of its own and answers JSON lines with JSON lines."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self._process.pid

    def tell(self, op: str, **values: Any) -> None:
        """Ask for something; `answer` must fetch the answer later."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"op": op, **values}).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for the answer to the oldest open question. Raises ChildFailed."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildFailed(self._module)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, op: str, **values: Any) -> dict[str, Any]:
        """Ask for something and wait for the answer. Raises ChildFailed."""
        self.tell(op, **values)
        return self.answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
