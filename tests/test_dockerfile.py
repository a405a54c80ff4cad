from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Lines joined where a backslash continues them, without comments.
INSTRUCTIONS = [
    re.sub(r"\s+", " ", line).strip()
    for line in re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE))
    .strip()
    .splitlines()
    if line.strip()
]
LAST_STAGE = INSTRUCTIONS[max(i for i, line in enumerate(INSTRUCTIONS) if line.startswith("FROM ")) :]


def arguments(instruction: str, lines: list[str]) -> list[str]:
    return [line.removeprefix(f"{instruction} ") for line in lines if line.startswith(f"{instruction} ")]


def copied_from_the_context() -> set[str]:
    copies = [each.split() for each in arguments("COPY", INSTRUCTIONS) if not each.startswith("--from=")]
    return {source for *sources, _ in copies for source in sources}


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    assert hadolint is not None, "requirements-dev.txt brings it"
    run = subprocess.run(
        [hadolint, "--no-color", str(ROOT / "Dockerfile")], check=False, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (0, "")


def test_both_stages_start_from_one_base_of_a_fixed_minor_version() -> None:
    (base,) = arguments("ARG", INSTRUCTIONS)
    assert re.fullmatch(r"BASE=python:3\.13-slim-[a-z]+", base)
    assert arguments("FROM", INSTRUCTIONS) == ["${BASE} AS build", "${BASE}"]


def test_it_runs_as_a_number_that_is_not_root() -> None:
    (user,) = arguments("USER", LAST_STAGE)
    numbers = [int(part) for part in user.split(":")]
    assert len(numbers) == 2
    assert min(numbers) > 0


def test_nothing_is_changed_after_the_user_is_set() -> None:
    after = LAST_STAGE[LAST_STAGE.index(f"USER {arguments('USER', LAST_STAGE)[0]}") :]
    assert {line.split()[0] for line in after} == {"USER", "EXPOSE", "ENTRYPOINT"}


def test_python_is_the_first_process_without_a_shell() -> None:
    (entrypoint,) = arguments("ENTRYPOINT", LAST_STAGE)
    assert json.loads(entrypoint) == ["python", "logurt.py"]
    assert arguments("CMD", LAST_STAGE) == []


def test_only_what_the_server_runs_on_is_copied() -> None:
    assert copied_from_the_context() == {
        "requirements.txt",
        "logurt.py",
        "server.py",
        "brokers.py",
        "environment.py",
        "settings.py",
        "setting_types.py",
        "protocol.py",
        "log_format.py",
        "fair_selector.py",
        "ingest",
        "buffer",
        "delivery",
        "handlers",
        "cli",
        "viewer",
    }


def test_the_last_stage_takes_only_what_the_build_stage_made() -> None:
    assert arguments("COPY", LAST_STAGE) == ["--from=build /opt/venv /opt/venv", "--from=build /app /app"]
    (run,) = arguments("RUN", LAST_STAGE)
    assert "uninstall" in run


def test_the_code_is_compiled_before_the_root_becomes_read_only() -> None:
    compiled = [run for run in arguments("RUN", INSTRUCTIONS) if "compileall" in run]
    assert len(compiled) == 2
    assert all("--invalidation-mode unchecked-hash" in run for run in compiled)
    assert "PYTHONDONTWRITEBYTECODE=1" in " ".join(arguments("ENV", LAST_STAGE))


def test_it_exposes_the_default_port_of_the_server() -> None:
    assert arguments("EXPOSE", LAST_STAGE) == ["8080"]


@pytest.mark.parametrize("file", ["Dockerfile", "requirements.txt"])
def test_no_host_is_named(file: str) -> None:
    assert re.findall(r"https?://|index-url|find-links", (ROOT / file).read_text()) == []


def test_the_build_context_holds_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == copied_from_the_context()


def test_the_build_context_never_holds_an_env_file_of_a_folder_that_is_copied() -> None:
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert rules.index("**/.env") > max(i for i, rule in enumerate(rules) if rule.startswith("!"))
