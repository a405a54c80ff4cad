"""Real nats-servers on free ports of 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nats as client

from benchmarks.cluster.processes import free_ports
from benchmarks.process import cpu_seconds

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence

_READY_SECONDS = 20


def binary() -> str:
    """Return the path of nats-server: that of this environment, or any."""
    found = Path(sys.executable).with_name("nats-server")
    return str(found) if found.exists() else shutil.which("nats-server") or "nats-server"


class NatsServer:
    """A nats-server with JetStream. It can be killed, frozen and started again; what it stores stays."""

    def __init__(self, folder: Path, port: int, *arguments: str, config: str = "", jetstream: bool = True) -> None:
        self.name = folder.name
        self.port = port
        self.url = f"nats://127.0.0.1:{port}"
        self.folder = folder
        self._arguments = arguments
        self._config = config
        self._jetstream = ("-js", "-sd", str(folder / "data")) if jetstream else ()
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [binary(), "-a", "127.0.0.1", "-p", str(self.port), *self._jetstream]
        if self._config:
            path = self.folder / "nats.conf"
            path.write_text(self._config)
            command += ["-c", str(path)]
        with (self.folder / "log").open("ab") as log:
            self._popen = subprocess.Popen([*command, *self._arguments], stdout=log, stderr=log)
        self._await_ready()

    def _await_ready(self) -> None:
        """Wait for the first thing that a server says."""
        for _ in range(_READY_SECONDS * 100):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.settimeout(1)
                if connection.recv(4) == b"INFO":
                    return
            assert self._popen is not None
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(0.01)
                raise AssertionError((self.folder / "log").read_text()[-1000:])
        raise AssertionError("nats-server is not ready")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._popen is not None
        os.kill(self._popen.pid, number)

    def kill(self) -> None:
        """End it at once."""
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
            self._popen = None

    def cpu_seconds(self) -> float:
        """Return the CPU that it has taken, to the nanosecond."""
        assert self._popen is not None
        return cpu_seconds(self._popen.pid)


class Cluster:
    """Several nats-servers that replicate streams among themselves; or one by itself."""

    def __init__(
        self,
        folder: Path,
        size: int = 3,
        routes_of: Callable[[int], Sequence[int]] | None = None,
        *arguments: str,
    ) -> None:
        ports = free_ports(2 * size)
        clients, self.routes = ports[:size], ports[size:]
        self.nodes = []
        for index, (client_port, route) in enumerate(zip(clients, self.routes, strict=True)):
            peers = self.routes if routes_of is None else routes_of(index)
            given = {
                "-n": f"n{index}",
                "--cluster_name": "logs",
                "--cluster": f"nats://127.0.0.1:{route}",
                "--routes": ",".join(f"nats://127.0.0.1:{port}" for port in peers),
            }
            flat = [part for pair in given.items() for part in pair] if size > 1 else []
            self.nodes.append(NatsServer(folder / f"n{index}", client_port, *flat, *arguments))

    async def leader(self, stream: str) -> str:
        """Return the name of the node that leads a stream."""
        answer = await self._ask(f"$JS.API.STREAM.INFO.{stream}")
        name: str = answer["cluster"]["leader"]
        return name

    async def ready(self) -> None:
        """Return once JetStream has a leader."""
        for _ in range(_READY_SECONDS * 10):
            with suppress(client.errors.Error):
                if "error" not in await self._ask("$JS.API.INFO"):
                    return
            await asyncio.sleep(0.1)
        raise AssertionError("there is no leader")

    async def _ask(self, subject: str) -> dict[str, Any]:
        connection = await client.connect(list(self.urls))
        try:
            answer: dict[str, Any] = json.loads((await connection.request(subject, timeout=2)).data)
        finally:
            await connection.close()
        return answer

    @property
    def urls(self) -> Sequence[str]:
        """Where clients connect, one for each server."""
        return [node.url for node in self.nodes]

    def start(self) -> None:
        """Start all of them."""
        for node in self.nodes:
            node.start()

    def kill(self) -> None:
        """End all of them at once."""
        for node in self.nodes:
            node.kill()
