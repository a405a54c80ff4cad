"""Replicas that share a stream of NATS JetStream, beside one server that keeps everything in memory.

Ingest: CPU of the replica and of all nats-servers for each record. Cold: how long the first reader of a namespace waits
at a replica that has not followed it before. Live: how long a line takes from its post at one replica to a reader at
another. Fan-out: CPU of all replicas for each line that they deliver, as as many readers are spread over more of them.
Followed: what it costs to follow many namespaces in which nothing happens.
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import fluentbit
from benchmarks.cluster.nats_server import Cluster
from benchmarks.connection import Connection, post_side_by_side
from benchmarks.posting import Posting
from benchmarks.process import Child
from benchmarks.server import Server
from benchmarks.table import Table, arguments, numbers, percentile, report

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

_BODIES = 8  # different ones, each of a pod of its own
_MIB = 1 << 20
_PODS = 10  # that write what is fanned out, each once a second
_SAMPLED = 10  # readers at each server whose lines are searched for the time when they were due
_QUIET_SECONDS = 1.0
_STAMP = re.compile(rb"t=(\d{20});")


def run(options: argparse.Namespace) -> Iterator[Table]:
    """Measure everything on one cluster; yield each table as soon as it is there."""
    with TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder), options.nodes)
        cluster.start()
        try:
            for name in options.only:
                yield _MEASURED[name](options, cluster)
        finally:
            cluster.kill()


@contextmanager
def _replica(cluster: Cluster, **settings: str) -> Iterator[Server]:
    """Run a replica; give it some seconds, since a cluster elects a leader first."""
    given = {"NATS_URL": ",".join(cluster.urls), "NATS_REPLICAS": str(len(cluster.nodes)), "NATS_MAX_GIB": "1"}
    with Server(settings=given | settings) as server:
        deadline = time.monotonic() + 20
        while b" 200 " not in _get(server, "/readyz/ingest")[:20] and time.monotonic() < deadline:
            time.sleep(0.1)
        yield server


def _get(server: Server, path: str) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(1 << 20), b""))


def _nats_cpu(cluster: Cluster) -> float:
    return sum(node.cpu_seconds() for node in cluster.nodes)


def _ingest(options: argparse.Namespace, cluster: Cluster) -> Table:
    table = Table(
        "replicas",
        f"Ingest through a stream on {len(cluster.nodes)} nodes: records of 1 KB per CPU second",
        ["batch", "connections", "memory", "replica", "replica of memory", "nats-servers", "ms in memory", "ms"],
        note="CPU of the server or the replica, and of all nats-servers together; medians of rounds that take turns.",
    )
    with Server() as alone, _replica(cluster) as replica:
        for batch in options.batches:
            bodies = [fluentbit.as_json(fluentbit.records("n", f"web-{at}", batch)) for at in range(_BODIES)]
            for connections in options.connections:
                requests = max(4 * connections, options.records // batch)
                count, rounds = requests * batch, list[tuple[tuple[float, float], tuple[float, float], float]]()
                for server in (alone, replica):
                    post_side_by_side(server, bodies, requests // 4, connections)
                for _ in range(options.rounds):
                    memory = post_side_by_side(alone, bodies, requests, connections)
                    before = _nats_cpu(cluster)
                    shared = post_side_by_side(replica, bodies, requests, connections)
                    rounds.append((memory, shared, _nats_cpu(cluster) - before))
                in_memory = median(count / memory[0] for memory, _, _ in rounds)
                published = median(count / shared[0] for _, shared, _ in rounds)
                stored = median(count / nats for _, _, nats in rounds)
                waits = [1000 * median(took) for took in zip(*((a[1], b[1]) for a, b, _ in rounds), strict=True)]
                table.add(batch, connections, in_memory, published, published / in_memory, stored, *waits)
    return table


def _cold(options: argparse.Namespace, cluster: Cluster) -> Table:
    table = Table(
        "cold",
        f"A namespace of {options.mib} MiB of text",
        ["server", "first line ms", "all ms", "MiB"],
        note="From the request of the first reader to the first byte of a line and the last of all; medians.",
    )
    bodies = [fluentbit.as_json(fluentbit.records("cold", f"web-{at}", 200)) for at in range(_BODIES)]
    requests = options.mib * _MIB // (200 * fluentbit.TEXT_BYTES)
    settings = {"BUFFER_NAMESPACE_MIB": str(4 * options.mib)}
    with Server(settings=settings) as alone, _replica(cluster, **settings) as writer:
        for server in (alone, writer):
            post_side_by_side(server, bodies, requests, 4)
        _add_reads(table, "memory", [_read_all(alone) for _ in range(options.rounds)])
        reads = []
        for _ in range(options.rounds):
            with _replica(cluster, **settings) as reader:
                reads.append(_read_all(reader))
        _add_reads(table, "replica, cold", reads)
        with _replica(cluster, **settings) as reader:
            _read_all(reader)
            _add_reads(table, "replica, warm", [_read_all(reader) for _ in range(options.rounds)])
    return table


def _add_reads(table: Table, name: str, reads: list[tuple[float, float, int]]) -> None:
    first, last, size = (median(one[at] for one in reads) for at in range(3))
    table.add(name, 1000 * first, 1000 * last, size / _MIB)


def _read_all(server: Server) -> tuple[float, float, int]:
    """Read a whole namespace; return the seconds until its first line and its end, and its size."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        path = server.path("cold", tail="all", follow="false")
        began = time.perf_counter()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = b""
        while not (lines := head.partition(b"\r\n\r\n")[2]):
            head += connection.recv(1 << 20)
        first, size = time.perf_counter() - began, len(lines)
        while piece := connection.recv(1 << 20):
            size += len(piece)
        return first, time.perf_counter() - began, size


def _live(options: argparse.Namespace, cluster: Cluster) -> Table:
    table = Table(
        "live",
        "From a post at one replica to a reader at another",
        ["servers", "median ms", "p99 ms"],
        note="One line at a time, 20 a second: each is flushed at once.",
    )
    with Server() as alone:
        delays = _delays(alone, alone, options.posts)
        table.add("one, in memory", percentile(delays, 50), percentile(delays, 99))
    with _replica(cluster) as one, _replica(cluster) as another:
        delays = _delays(one, another, options.posts)
        table.add("two replicas", percentile(delays, 50), percentile(delays, 99))
    return table


def _delays(writer: Server, reader: Server, posts: int) -> list[float]:
    stamped = fluentbit.Stamped("live", "web-0", 1)
    with socket.create_connection(("127.0.0.1", reader.port)) as lines, Connection(writer) as connection:
        lines.sendall(f"GET {reader.path('live', tail='0')} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        lines.recv(65536)
        delays = []
        for _ in range(posts):
            time.sleep(0.05)
            connection.send(stamped.body(time.monotonic_ns()))
            while (match := _STAMP.search(lines.recv(65536))) is None:
                pass
            delays.append((time.monotonic_ns() - int(match[1])) / 1e6)
            connection.finish()
        return delays


def _fan_out(options: argparse.Namespace, cluster: Cluster) -> Table:
    table = Table(
        "replicas-fan-out",
        f"{options.rate:,} lines a second to {options.readers:,} readers, by the replicas that they are spread over",
        [
            *("servers", "delivered %", "delivered/CPU s", "us a line", "busiest % of a core", "nats-servers %"),
            *("p50 ms", "p99 ms"),
        ],
        note="CPU of all replicas together, ingest at the first of them included; medians of rounds that take turns.",
    )
    cases: dict[str, list[_FannedOut]] = {}
    with Child("benchmarks.receivers") as receivers:
        for _ in range(options.rounds):
            with Server() as alone:
                cases.setdefault("one, in memory", []).append(_spread(options, cluster, receivers, [alone]))
            for count in options.replicas:
                with ExitStack() as stack:
                    replicas = [stack.enter_context(_replica(cluster)) for _ in range(count)]
                    name = f"{count} replica{'s' * (count > 1)}"
                    cases.setdefault(name, []).append(_spread(options, cluster, receivers, replicas))
    for name, rounds in cases.items():
        delays = [delay / 1e6 for one in rounds for delay in one.delays]
        part, line = median(one.part for one in rounds), median(one.line for one in rounds)
        busiest, nats = median(one.busiest for one in rounds), median(one.nats for one in rounds)
        waits = percentile(delays, 50), percentile(delays, 99)
        table.add(name, 100 * part, 1 / line, 1e6 * line, 100 * busiest, 100 * nats, *waits)
    return table


class _FannedOut(NamedTuple):
    """The part of the lines that was delivered, CPU seconds of all replicas for one of these, and shares of a core."""

    part: float
    line: float
    busiest: float
    nats: float
    delays: list[int]


def _spread(options: argparse.Namespace, cluster: Cluster, receivers: Child, servers: Sequence[Server]) -> _FannedOut:
    """Spread readers of one view over servers, and post to the first."""
    with Posting(servers[0], "fan-out", options.rate, _PODS) as posting:
        for at, server in enumerate(servers):
            count = len(range(at, options.readers, len(servers)))
            receivers.ask("open", port=server.port, paths=[server.path("fan-out", tail="0")] * count, sampled=_SAMPLED)
        posting.run(1)
        receivers.ask("until", total=1 << 60, quiet=0.5)
        receivers.ask("reset")
        before, nats = [server.cpu() for server in servers], _nats_cpu(cluster)
        receivers.tell("until", total=1 << 60, quiet=_QUIET_SECONDS)
        began = time.perf_counter()
        lines = posting.run(options.seconds)
        took = time.perf_counter() - began
        report = receivers.answer()
        used = [server.cpu() - cpu for server, cpu in zip(servers, before, strict=True)]
        nats = _nats_cpu(cluster) - nats
        receivers.ask("close")
    delivered = report["bytes"] / fluentbit.FRAME_BYTES
    part = delivered / (lines * options.readers)
    return _FannedOut(part, sum(used) / delivered, max(used) / took, nats / took, report["delays"])


def _followed(options: argparse.Namespace, cluster: Cluster) -> Table:
    table = Table(
        "followed",
        "Namespaces that are followed, in which nothing happens",
        ["namespaces", "s to follow", "replica KiB each", "replica % of a core", "nats-servers % of a core"],
        note="With a reader each.",
    )
    for count in options.namespaces:
        with _replica(cluster) as replica, ExitStack() as stack:
            before, began = replica.rss(), time.perf_counter()
            for number in range(count):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", replica.port)))
                connection.sendall(f"GET {replica.path(f'quiet-{number}')} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                connection.recv(65536)
            took = time.perf_counter() - began
            memory = (replica.rss() - before) / count / 1024
            cpu, nats = replica.cpu(), _nats_cpu(cluster)
            time.sleep(options.idle_seconds)
            used = replica.cpu() - cpu, _nats_cpu(cluster) - nats
            table.add(count, took, memory, *(100 * one / options.idle_seconds for one in used))
    return table


_MEASURED = {"ingest": _ingest, "cold": _cold, "live": _live, "fan-out": _fan_out, "followed": _followed}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sizes."""
    parser.add_argument("--only", nargs="+", choices=_MEASURED, default=list(_MEASURED), help="what is measured")
    parser.add_argument("--nodes", type=int, default=3, help="nats-servers, each with a copy of the stream")
    parser.add_argument("--records", type=int, default=40_000, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=numbers, default=[10, 200], help="records a request")
    parser.add_argument("--connections", type=numbers, default=[1, 8], help="that post at the same time")
    parser.add_argument("--mib", type=int, default=16, help="text of the namespace that is read")
    parser.add_argument("--posts", type=int, default=200, help="lines whose way is timed")
    parser.add_argument("--readers", type=int, default=3000, help="of the same lines, over all replicas")
    parser.add_argument("--replicas", type=numbers, default=[1, 2, 3], help="that these readers are spread over")
    parser.add_argument("--rate", type=int, default=200, help="lines a second that these readers get")
    parser.add_argument("--seconds", type=float, default=5.0, help="for which they get them")
    parser.add_argument("--idle-seconds", type=float, default=10.0, help="in which nothing happens in these")
    parser.add_argument("--namespaces", type=numbers, default=[100, 2000])


if __name__ == "__main__":
    given = arguments(__doc__)
    add_arguments(given)
    report(given.parse_args(), run)
