from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"


def address_of_run(folder: Path, env_file: str | None, **environment: str) -> str:
    """Return the ADDRESS that `make run` gives to the service in its environment."""
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$1: ${ADDRESS-unset}"\n')
    python.chmod(0o755)
    if env_file is not None:
        (folder / ".env").write_text(env_file)
    command = ["make", "-s", "-f", str(MAKEFILE), "run", "VENV=.", "BIN=bin", "-o", "./runtime"]
    made = subprocess.run(
        command, cwd=folder, env={"PATH": os.environ["PATH"]} | environment, capture_output=True, text=True, check=True
    )
    return made.stdout.splitlines()[-1].removeprefix("logurt.py: ")


@pytest.mark.parametrize("env_file", [None, "", "PORT=1\n# ADDRESS=::\nMY_ADDRESS=::\n"])
def test_make_run_listens_on_this_machine_only_unless_told_otherwise(tmp_path: Path, env_file: str | None) -> None:
    assert address_of_run(tmp_path, env_file) == "localhost"


def test_make_run_listens_where_the_environment_says(tmp_path: Path) -> None:
    assert address_of_run(tmp_path, "", ADDRESS="0.0.0.0") == "0.0.0.0"


@pytest.mark.parametrize("line", ["ADDRESS=0.0.0.0", "export ADDRESS='::'", " ADDRESS = ::", "A=1\nADDRESS="])
def test_make_run_leaves_it_to_the_env_file_where_that_says_so(tmp_path: Path, line: str) -> None:
    assert address_of_run(tmp_path, f"{line}\n") == "unset"


def test_make_run_writes_an_env_file_for_its_owner_alone(tmp_path: Path) -> None:
    address_of_run(tmp_path, None)
    path = tmp_path / ".env"
    names = [line.partition("=")[0] for line in path.read_text().splitlines()]
    assert names == ["API_SECRET", "INGEST_SECRET", "JWT_SIGNING_KEY"]
    assert path.stat().st_mode & 0o777 == 0o600


def types_checked(folder: Path, tsc: str) -> subprocess.CompletedProcess[str]:
    """Return what `make types` does where `tsc` is this script; empty: there is none."""
    for name, script in {"npx": "exit 1", "tsc": tsc}.items():
        if script:
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
    (folder / "sh").symlink_to("/bin/sh")
    make = shutil.which("make")
    assert make is not None
    command = [make, "-s", "-f", str(MAKEFILE), "types"]
    return subprocess.run(command, cwd=folder, env={"PATH": str(folder)}, capture_output=True, text=True, check=False)


def test_types_are_checked_by_a_compiler_that_is_there(tmp_path: Path) -> None:
    made = types_checked(tmp_path, '[ "$1" = --version ] || echo checked')
    assert (made.returncode, made.stdout) == (0, f"{tmp_path}/tsc --noEmit\nchecked\n")


def test_types_that_are_wrong_fail(tmp_path: Path) -> None:
    assert types_checked(tmp_path, '[ "$1" = --version ]').returncode != 0


def test_one_line_says_that_there_is_no_compiler(tmp_path: Path) -> None:
    made = types_checked(tmp_path, "")
    assert (made.returncode, made.stdout) == (0, "no tsc here: the types of viewer/ are not checked\n")
