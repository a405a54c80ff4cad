"""The processes of a cluster, on ports that stay theirs from one start to the next."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.process import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_START_SECONDS = 20.0
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.05


class NotStarted(Exception):
    """A process did not get ready; `said` is the end of its log."""

    def __init__(self, name: str, said: str) -> None:
        super().__init__(name, said)
        self.name = name
        self.said = said

    def __str__(self) -> str:
        return f"{self.name} did not start: {self.said or 'it did not say why'}"


class Process:
    """A process that listens on a port of 127.0.0.1. What it says goes to a file in its folder."""

    def __init__(
        self, name: str, folder: Path, port: int, command: Sequence[str], variables: Mapping[str, str]
    ) -> None:
        self.name = name
        self.port = port
        self._folder = folder
        self._command = command
        self._variables = variables
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it takes connections. Raises NotStarted."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            # In a session of its own: Ctrl-C is for whoever started the cluster.
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self._folder,
                env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), **self._variables},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                while self._process.returncode is None:
                    if await self._listens():
                        return
                    await asyncio.sleep(_LOOK_SECONDS)
        raise NotStarted(self.name, "\n".join(self._log.read_text(errors="replace").splitlines()[-3:]))

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, by force if it takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(number)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    async def _listens(self) -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            return True
        return False


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def nats_servers(folder: Path, count: int) -> list[Process]:
    """Return nats-servers that form a cluster with JetStream, not started yet."""
    ports = free_ports(2 * count)
    clients, routes = ports[:count], ports[count:]
    others = ",".join(f"nats://127.0.0.1:{port}" for port in routes)
    binary = str(Path(sys.executable).with_name("nats-server"))
    found = []
    for number, (client, route) in enumerate(zip(clients, routes, strict=True), start=1):
        name = f"nats-{number}"
        listen = ("-a", "127.0.0.1", "-p", str(client), "--cluster", f"nats://127.0.0.1:{route}")
        command = [binary, "-n", name, "--cluster_name", "demo", *listen, "--routes", others, "-js", "-sd", "data"]
        found.append(Process(name, folder / name, client, command, {}))
    return found


def replicas(folder: Path, nats: Sequence[Process], count: int, variables: Mapping[str, str]) -> list[Process]:
    """Return replicas of logurt that share a NATS, not started yet; `variables` are settings of all of them."""
    shared = {
        "ADDRESS": "127.0.0.1",
        "NATS_URL": ",".join(f"nats://127.0.0.1:{one.port}" for one in nats),
        "NATS_REPLICAS": str(len(nats)),
        "NATS_MAX_GIB": "1",
        **variables,
    }
    command = [sys.executable, str(ROOT / "logurt.py")]
    return [
        Process(f"replica {number}", folder / f"replica-{number}", port, command, {**shared, "PORT": str(port)})
        for number, port in enumerate(free_ports(count), start=1)
    ]
