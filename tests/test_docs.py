from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest

import logurt
from delivery.filter import MAX_INSTRUCTIONS, MAX_PATTERN_CHARACTERS, MAX_PATTERNS
from delivery.patterns import MAX_PATTERNS_IN_USE
from handlers import sources
from handlers.errors import STATUSES
from handlers.metrics import METRICS
from handlers.query import PARAMETERS
from handlers.routes import ROUTES
from handlers.selection import MAX_ALTERNATIVES, MAX_LABEL_KEY_LENGTH, MAX_NAME_LENGTH, MAX_REQUIREMENTS
from handlers.sessions import HEARTBEAT_SECONDS
from handlers.tokens import MAX_TOKEN_BYTES
from handlers.websocket import MAX_MESSAGE_BYTES
from protocol import DISCONNECTS, GAP_REASONS
from server import MAX_HEADER_BYTES
from settings import VARIABLES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROTOCOL = (ROOT / "docs/protocol.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
# Variables of the terminal client.
NOT_OF_THE_SERVER = {"LOGURT_TOKEN", "LOGURT_URL"}
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"logurt\.py ([a-z]+)([^|\n)]*)")


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """Return the rows of the first table below a heading, by their first cell, without backticks."""
    table = page.partition(f"\n{heading}\n")[2].partition("\n|")[2].partition("\n\n")[0]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in table.split("\n")]
    return {first.replace("`", ""): rest for first, *rest in cells[2:]}


def anchors(page: str) -> set[str]:
    """Return what can be linked to on a page: its headings, in the spelling of GitHub."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def help_of(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what `logurt.py COMMAND --help` prints."""
    with pytest.raises(SystemExit):
        logurt.main([*command, "--help"])
    return capsys.readouterr().out


def test_the_readme_has_every_setting_with_its_default_and_no_other() -> None:
    documented = {name: cells[0].replace("`", "") for name, cells in rows(README, "## Settings").items()}
    assert documented == {
        variable.name: "required" if variable.required else variable.default or "-" for variable in VARIABLES
    }


def test_the_readme_has_every_settings_meaning() -> None:
    documented = {name: cells[1] for name, cells in rows(README, "## Settings").items()}
    assert documented == {variable.name: variable.meaning for variable in VARIABLES}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages_name_no_setting_that_does_not_exist(path: Path) -> None:
    names = {variable.name for variable in VARIABLES}
    spelled = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)[`=]", path.read_text()))
    assert spelled <= names | NOT_OF_THE_SERVER


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_number_behind_a_setting_is_its_default(path: Path) -> None:
    defaults = {variable.name: variable.default for variable in VARIABLES}
    for name, number in re.findall(r"`([A-Z_]+)` \(([\d,]+)\)", path.read_text()):
        assert number.replace(",", "") == defaults[name], name


def test_the_protocol_has_every_parameter_in_order_and_no_other() -> None:
    assert tuple(rows(PROTOCOL, "### Parameters")) == PARAMETERS


def test_the_protocol_has_every_parameter_of_the_list_of_sources() -> None:
    assert tuple(rows(PROTOCOL, "## GET /api/sources")) == sources.PARAMETERS


def test_the_protocol_has_every_close_code_with_its_reason() -> None:
    documented = {int(code): cells[0].strip("`") for code, cells in rows(PROTOCOL, "### How a stream ends").items()}
    # 1009 is Tornado's, for a message that is too long.
    assert documented == {one.code: one.reason for one in DISCONNECTS} | {1009: "message too big"}


def test_the_protocol_has_every_metric() -> None:
    table = rows(PROTOCOL, "## GET /metrics")
    documented = {name: [cell.replace("`", "") for cell in cells] for name, cells in table.items()}
    assert documented == {one.name: [one.kind, ", ".join(one.labels) or "-", one.meaning] for one in METRICS}


def test_the_protocol_has_every_status_that_an_error_can_have() -> None:
    documented = {int(status) for status in rows(PROTOCOL, "## Errors")}
    always = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.INTERNAL_SERVER_ERROR}
    assert documented == {int(status) for status in {*STATUSES.values(), *always}}


def test_the_protocol_has_every_reason_of_a_gap() -> None:
    section = PROTOCOL.partition("| `reason` | what happened")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == set(GAP_REASONS)


def test_the_readme_has_every_route_and_no_other() -> None:
    documented = [endpoint.partition(" ")[2] for endpoint in rows(README, "## Run it")]
    assert documented == [path for path, _ in ROUTES]


def test_the_protocol_has_a_section_for_every_route_and_no_other() -> None:
    headings = " ".join(re.findall(r"^## ((?:GET|POST) .+)$", PROTOCOL, re.MULTILINE))
    assert set(re.findall(r"/[\w/]*", headings)) == {path for path, _ in ROUTES}


def test_the_protocol_has_the_limits_of_the_code() -> None:
    limits = rows(PROTOCOL, "## Limits")
    assert limits["patterns"][0] == f"{MAX_PATTERNS} `include` and {MAX_PATTERNS} `exclude`"
    assert limits["a pattern"][0] == f"{MAX_PATTERN_CHARACTERS:,} characters"
    assert limits["patterns of a kind, once compiled"][0] == f"{MAX_INSTRUCTIONS} instructions"
    assert limits["patterns, all different views together"][0] == f"{MAX_PATTERNS_IN_USE:,}"
    assert limits["a name in a token"][0] == f"{MAX_NAME_LENGTH} characters"
    assert limits["a label in a token"][0] == f"key {MAX_LABEL_KEY_LENGTH}, value {MAX_NAME_LENGTH} characters"
    assert limits["a token"][0] == f"{MAX_TOKEN_BYTES >> 10} KiB"
    assert limits["names in a selection, or labels with their values"][0] == str(MAX_ALTERNATIVES)
    assert limits["requirements for labels"][0] == str(MAX_REQUIREMENTS)
    assert limits["request line and headers"][0] == f"{MAX_HEADER_BYTES >> 10} KiB"
    assert limits["sources on a page"][0] == f"{sources.MAX_LIMIT:,}"
    assert limits["time between signs of life"][0] == f"{HEARTBEAT_SECONDS} s"
    assert limits["a client's WebSocket message"][0] == f"{MAX_MESSAGE_BYTES >> 10} KiB"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in _LINK.findall(path.read_text()):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file) if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.MULTILINE))
    assert named <= targets


def test_every_command_in_the_readme_has_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    commands = _COMMAND.findall(README)
    assert {name for name, _ in commands} >= {"tail", "sign"}
    for name, rest in commands:
        shown = help_of([name], capsys)
        assert name in help_of([], capsys)
        for option in re.findall(r"(?<=\s)--?[a-z][a-z-]*", rest):
            assert re.search(rf"(?<![\w-]){option}(?![\w-])", shown), (name, option)


def test_the_changelogs_newest_version_is_that_of_the_code() -> None:
    versions = re.findall(r"^## \[(\d[^]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == logurt.__version__
