from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from cli.demo_server import ServerEnded, address_of, running, stop, watch


async def test_a_server_that_dies_ends_the_demo() -> None:
    async with running({"API_SECRET": "s", "JWT_SIGNING_KEY": "k" * 32}) as (process, _):
        process.kill()
        with pytest.raises(ServerEnded, match="the demo's server has ended"):
            await watch(process)


async def test_what_the_server_complains_of_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    script = "import sys; sys.stderr.write('1 INFO all is well\\n2 ERROR it is not\\n')"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stderr=asyncio.subprocess.PIPE)
    with pytest.raises(ServerEnded, match="2 ERROR it is not"):
        await watch(process)
    assert capsys.readouterr().err == "2 ERROR it is not\n"


async def test_a_server_that_does_not_stop_is_ended_by_force() -> None:
    pipe = asyncio.subprocess.PIPE
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=pipe)
    assert process.stdout is not None
    await process.stdout.readline()
    await stop(process, seconds=0)
    assert process.returncode == -signal.SIGKILL


async def test_a_server_that_never_listens_ends_the_demo() -> None:
    pipe = asyncio.subprocess.PIPE
    script = "import sys; sys.stderr.write('no\\nway\\n')"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stderr=pipe)
    with pytest.raises(ServerEnded, match="no\nway"):
        await address_of(process)
