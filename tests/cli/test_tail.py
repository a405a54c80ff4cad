from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

import logurt
from cli import tail
from tests.cli.bystanders import command, outcome, saying, serving
from tests.conftest import API_SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import LiveServer

_FIELDS = "{timestamp}, {namespace}, {pod}, {container}, {stream}, {log}"


async def test_lines_come_out_of_a_pipe_as_they_were(live: LiveServer, tmp_path: Path) -> None:
    await live.write("one\x1b[2J", "two\n  three")
    process = await command(live, "tail", "--no-follow", cwd=tmp_path, token=await live.sign())
    assert await outcome(process) == (0, "web-0/app one\x1b[2J\nweb-0/app two\nweb-0/app   three\n", "")


async def test_json_comes_as_the_server_sends_it(live: LiveServer, tmp_path: Path) -> None:
    await live.write("one", "two")
    process = await command(live, "tail", "-o", "json", "--no-follow", cwd=tmp_path, token=await live.sign())
    _, out, _ = await outcome(process)
    assert [json.loads(line)["log"] for line in out.splitlines()] == ["one", "two"]


async def test_a_secret_in_the_file_signs_for_the_namespace(live: LiveServer, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"API_SECRET={API_SECRET}\n")
    await live.write("mine", namespace="myapp")
    process = await command(live, "tail", "myapp", "--no-follow", cwd=tmp_path)
    assert await outcome(process) == (0, "web-0/app mine\n", "")


async def _run(live: LiveServer, token: str, *given: str) -> int:
    """Run the command in a thread of this process."""
    return await asyncio.to_thread(logurt.main, ["tail", *given, "--url", live.url(""), "--token", token])


@pytest.fixture
def _no_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signal handlers cannot be set in a thread."""
    monkeypatch.setattr(tail, "die_quietly", lambda: None)


@pytest.mark.usefixtures("_no_handlers")
async def test_all_lines_are_shown_in_this_process_too(live: LiveServer, capfd: pytest.CaptureFixture[str]) -> None:
    await live.write("one")
    assert await _run(live, await live.sign("myapp"), "other", "--no-follow") == 0
    warning = "logurt: the token is for the namespace myapp, not other: showing myapp\n"
    assert capfd.readouterr() == ("web-0/app one\n", warning)


@pytest.mark.usefixtures("_no_handlers")
async def test_a_refusal_is_one_line(live: LiveServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert await _run(live, await live.sign(), "--tail", "x") == 1
    sentence = "the server refuses this stream: parameter tail must be all or a whole number below 1000000000 (400)"
    assert capfd.readouterr() == ("", f"logurt: {sentence}\n")


@pytest.mark.usefixtures("_no_handlers")
@pytest.mark.parametrize(
    ("link", "given", "shown"),
    [
        ("tail=1&follow=false", (), "web-1/app two\n"),
        ("tail=1&follow=false", ("--tail", "all"), "web-0/app one\nweb-1/app two\n"),
        ("pod=web-0&follow=false&prefix=false&timestamps=true", (), "2025-11-22T08:15:01.123457790Z one\n"),
        ("pod=web-0&follow=false", ("-p", "web-1,web-2", "--no-prefix"), "two\n"),
        ("label=app%20in%20(web,api)&follow=false", ("-l", "app notin (web)"), "web-0/app one\n"),
    ],
)
async def test_a_link_is_read_with_its_parameters_and_options_go_before_them(
    live: LiveServer, capfd: pytest.CaptureFixture[str], link: str, given: tuple[str, ...], shown: str
) -> None:
    await live.write("one", pod="web-0")
    await live.write("two", pod="web-1", labels={"app": "web"})
    url = f"{live.url('/logs')}?token={await live.sign()}&{link}"
    assert await asyncio.to_thread(logurt.main, ["tail", "--url", url, *given]) == 0
    assert capfd.readouterr() == (shown, "")


@pytest.mark.usefixtures("_no_handlers")
@pytest.mark.parametrize(
    ("link", "problem"), [("tial=1", "tial is not known"), ("format=xml", "format must be text or json")]
)
async def test_what_a_link_has_wrong_is_said_by_the_server(
    live: LiveServer, capfd: pytest.CaptureFixture[str], link: str, problem: str
) -> None:
    url = f"{live.url('/logs')}?token={await live.sign()}&{link}"
    assert await asyncio.to_thread(logurt.main, ["tail", "--url", url]) == 1
    assert capfd.readouterr().err == f"logurt: the server refuses this stream: parameter {problem} (400)\n"


@pytest.mark.usefixtures("_no_handlers")
async def test_a_template_knows_the_namespace_of_the_token(live: LiveServer, capfd: pytest.CaptureFixture[str]) -> None:
    await live.write("one", namespace="other")
    given = ("--template", "{namespace} {pod} {log}", "--no-follow", "-n", "other")
    assert await _run(live, await live.sign("other"), *given) == 0
    assert capfd.readouterr() == ("other web-0 one\n", "")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("--url", "ftp://x"), "the URL must be like http://localhost:8080, not 'ftp://x'"),
        (("-n", "a", "b"), "two namespaces are given, b and a"),
        (("--timezone", "Mars"), "--timezone must be a name such as Europe/Berlin or UTC, or local, not 'Mars'"),
        (
            ("--since-time", "5m"),
            "--since-time must be a time such as 2026-11-22T08:15:00Z, not '5m': that is for --since",
        ),
    ],
)
def test_wrong_usage_is_one_line(given: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert logurt.main(["tail", *given, "--token", "a.b.c"]) == 2
    assert capsys.readouterr() == ("", f"logurt: {sentence}\n")


async def test_no_server_is_an_error_with_a_hint(tmp_path: Path) -> None:
    async with serving(saying(b"")) as url:
        pass
    returned, _, err = await outcome(await command(None, "tail", "--url", url, cwd=tmp_path, token="a.b.c"))
    hint = "Is the server running, or forwarded with `kubectl port-forward service/logurt 8080`?"
    assert (returned, err) == (1, f"logurt: cannot reach {url}: Connection refused\n{hint}\n")


@pytest.mark.usefixtures("_no_handlers")
async def test_a_pipe_is_watched_while_lines_come(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    await live.write("one")
    reading, writing = os.pipe()
    with open(writing, "w") as out, open(reading, "rb") as shown:  # noqa: ASYNC230, PTH123 - both ends of a pipe
        monkeypatch.setattr("sys.stdout", out)
        assert await _run(live, await live.sign(), "--no-follow") == 0
        assert shown.readline() == b"web-0/app one\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_without_a_word(live: LiveServer, tmp_path: Path, number: signal.Signals) -> None:
    await live.write("one")
    process = await command(live, "tail", cwd=tmp_path, token=await live.sign())
    assert process.stdout is not None
    assert await process.stdout.readline() == b"web-0/app one\n"
    process.send_signal(number)
    assert await outcome(process) == (-number, "", "")


async def test_a_reader_that_goes_ends_it_without_a_word_although_nothing_is_written(
    live: LiveServer, tmp_path: Path
) -> None:
    await live.write("one")
    reading, writing = os.pipe()
    token = await live.sign()
    process = await command(live, "tail", cwd=tmp_path, token=token, stdout=writing)
    os.close(writing)
    assert await asyncio.to_thread(os.read, reading, 100) == b"web-0/app one\n"
    os.close(reading)
    assert await outcome(process) == (-signal.SIGPIPE, "", "")


async def test_a_reader_that_goes_in_the_middle_of_much_ends_it_without_a_word(
    live: LiveServer, tmp_path: Path
) -> None:
    await live.write(*(f"line {number} {'x' * 100}" for number in range(5000)))
    reading, writing = os.pipe()
    process = await command(
        live, "tail", "--tail=all", "--no-follow", cwd=tmp_path, token=await live.sign(), stdout=writing
    )
    os.close(writing)
    assert (await asyncio.to_thread(os.read, reading, 100)).startswith(b"web-0/app line 0 ")
    os.close(reading)
    assert await outcome(process) == (-signal.SIGPIPE, "", "")


async def test_a_terminal_gets_colours_and_nothing_that_it_would_obey(live: LiveServer, tmp_path: Path) -> None:
    await live.write("a\x1b[2Jb")
    master, slave = os.openpty()
    process = await command(live, "tail", "--no-follow", cwd=tmp_path, token=await live.sign(), stdout=slave)
    shown = await asyncio.to_thread(os.read, master, 100)
    assert (await outcome(process))[0] == 0
    os.close(slave)
    os.close(master)
    assert shown.decode().endswith("mweb-0/app\x1b[0m a␛[2Jb\r\n")
