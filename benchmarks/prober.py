"""Nobody holds up the others: how long a bystander's lines take while one attack after the other hits the server.

The prober posts a line every 20 ms into a namespace of its own and times its arrival at a WebSocket reader of its own,
first without the attack, then with it. The goal: no line takes more than 100 ms, nor 50 ms more than without the
attack; none is lost or refused; and the server's memory stays below BUFFER_TOTAL_MIB plus 256 MiB.
"""

from __future__ import annotations

import resource
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import pulse
from benchmarks.attacks import crowds, searches, selections, senders
from benchmarks.attacks.attack import Attack, Ground, Sizes
from benchmarks.process import Child, cpu_seconds, memory, reset_peak
from benchmarks.server import Server
from benchmarks.table import Table, arguments, percentile, report

if TYPE_CHECKING:
    import argparse

    from benchmarks.attacks.attack import Course

_MOST_MS, _MOST_MORE_MS = 100.0, 50.0
_BUFFER_MIB, _BESIDES_MIB = 256, 256
_MIB = 1 << 20
# How long the prober goes on after the attack.
_AFTERMATH_SECONDS = 0.2


def _nothing(ground: Ground) -> Course:
    """Leave everybody in peace."""
    yield
    time.sleep(ground.sizes.seconds)


NOTHING = Attack("nothing", _nothing)
ATTACKS = (NOTHING, *searches.ATTACKS, *selections.ATTACKS, *senders.ATTACKS, *crowds.ATTACKS)


class Verdict(Enum):
    """Whether the goal is met. A line that was late for want of a core says nothing about the server."""

    MET = "met"
    MISSED = "missed"
    NOISE = "noise"


class Found(NamedTuple):
    """What the prober reported without and with an attack, and what it took of the server, in seconds and bytes."""

    quiet: dict[str, Any]
    attacked: dict[str, Any]
    cpu: float
    seconds: float
    grown: int
    peak: int
    unsent: int
    tcp: int

    @property
    def lost(self) -> int:
        """How many lines never came, plus notices of lost ones; the end of the stream counts as one more."""
        return int(self.attacked["missing"] + self.attacked["gap_notices"] + self.attacked["ended"])

    @property
    def refused(self) -> int:
        """How many posts were not answered 200."""
        return sum(number for status, number in self.attacked["answers"].items() if status != "200")

    @property
    def longest(self) -> float:
        """The longest that a line took, in milliseconds, without the time that it waited for a core."""
        return float(max(self.attacked["net_delays"], default=0.0))

    @property
    def verdict(self) -> Verdict:
        """Whether the goal is met."""
        most = min(_MOST_MS, max(self.quiet["net_delays"], default=0.0) + _MOST_MORE_MS)
        is_large = self.peak > (_BUFFER_MIB + _BESIDES_MIB) * _MIB
        if self.longest > most or self.lost or self.refused or is_large:
            return Verdict.MISSED
        return Verdict.MET if max(self.attacked["delays"], default=0.0) <= most else Verdict.NOISE


def run(options: argparse.Namespace) -> list[Table]:
    """Attack a server, a new one each time, and put down what the prober notices."""
    table = Table(
        "prober",
        "Prober: milliseconds until a bystander's line arrives while somebody attacks",
        [
            *("attack", "goal", "longest", "net", "quiet", "p99", "quiet p99", "gap", "lost", "refused"),
            *("server CPU %", "peak MiB", "grown", "unsent", "TCP", "late"),
        ],
        note="`net`: the longest without the time in which server or prober were ready to run but had no core; where "
        "only the rest is too long, the goal is neither met nor missed: `noise`. `quiet`: net, without the attack. "
        "`lost` includes what has not come some seconds after the attack. `unsent`, MiB: what the kernel holds for the "
        "server's sockets at the height of the attack; `TCP`: what all sockets of the machine take by then, beyond "
        "what they took before. `late`: the prober itself.",
    )
    sizes = Sizes(**{name: getattr(options, name) for name in Sizes._fields})
    attacks = [one for one in (*ATTACKS, *([senders.EXPIRY] if options.expiry else [])) if options.only in one.name]
    with Child("benchmarks.pulse") as prober:
        for attack in attacks:
            for _ in range(options.tries):
                found = measure(attack, sizes, prober, options.quiet_seconds, options.patience)
                if found.verdict is not Verdict.NOISE:
                    break
            table.add(attack.name, *_row(found))
    return [table]


def measure(attack: Attack, sizes: Sizes, prober: Child, quiet_seconds: float, patience: float) -> Found:
    """Have the prober watch a new server, first without and then with the attack."""
    server = Server(attack.command, attack.settings)
    course = attack.begin(Ground(server, sizes))
    try:
        path = server.path(pulse.NAMESPACE, tail="0")
        prober.ask("open", port=server.port, pid=server.pid, secret=server.secret, path=path)
        next(course)
        prober.ask("start")
        time.sleep(quiet_seconds)
        quiet = prober.ask("stop", patience=patience)
        return _attacked(course, server, prober, quiet, patience)
    finally:
        course.close()
        prober.ask("close")
        server.kill()


def _attacked(course: Course, server: Server, prober: Child, quiet: dict[str, Any], patience: float) -> Found:
    reset_peak(server.pid)
    tcp = tcp_bytes()
    resident, cpu, begin = server.rss(), cpu_seconds(server.pid), time.monotonic()
    prober.ask("start")
    next(course, None)
    unsent, tcp = unsent_bytes(server.port), tcp_bytes() - tcp
    time.sleep(_AFTERMATH_SECONDS)
    attacked = prober.ask("stop", patience=patience)
    seconds, peak = time.monotonic() - begin, _peak(server)
    return Found(quiet, attacked, cpu_seconds(server.pid) - cpu, seconds, peak - resident, peak, unsent, tcp)


def _peak(server: Server) -> int:
    try:
        return memory(server.pid, "VmHWM")
    except ProcessLookupError:  # it has crashed, and the prober's stream has ended
        return 0


def _row(found: Found) -> list[Any]:
    quiet, attacked = found.quiet, found.attacked
    return [
        found.verdict.value,
        max(attacked["delays"], default=None),
        found.longest,
        max(quiet["net_delays"], default=None),
        percentile(attacked["delays"], 99),
        percentile(quiet["delays"], 99),
        attacked["gap"],
        found.lost,
        found.refused,
        100 * found.cpu / found.seconds,
        *(size / _MIB for size in (found.peak, found.grown, found.unsent, found.tcp)),
        max(quiet["late"], attacked["late"]),
    ]


def unsent_bytes(port: int) -> int:
    """Return the bytes in the kernel's send queues for connections of this local port (proc(5), `tx_queue`)."""
    local, total = f"0100007F:{port:04X}", 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == local:
            total += int(fields[4].partition(":")[0], 16)
    return total


def tcp_bytes() -> int:
    """Return the kernel's memory for all TCP sockets of the machine (proc(5), /proc/net/sockstat)."""
    (line,) = (one for one in Path("/proc/net/sockstat").read_text().splitlines() if one.startswith("TCP:"))
    return int(line.split()[-1]) * resource.getpagesize()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    for name, size in Sizes()._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(size), default=size)
    parser.add_argument("--quiet-seconds", type=float, default=0.3, help="without the attack, each time")
    parser.add_argument("--patience", type=float, default=2.0, help="seconds to wait for lines that are late")
    parser.add_argument("--tries", type=int, default=1, help="at most, where there is too much noise")
    parser.add_argument("--only", default="", help="attacks with these words in their name")
    parser.add_argument("--expiry", action="store_true", help="have many chunks expire at once too: half a minute")


if __name__ == "__main__":
    given = arguments(__doc__)
    add_arguments(given)
    report(given.parse_args(), run)
