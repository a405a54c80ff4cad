from __future__ import annotations

from pathlib import Path

import pytest

import environment


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    assert environment.load({"A": "environment", "C": "3"}, tmp_path / ".env") == {
        "A": "environment",
        "B": "file",
        "C": "3",
    }


def test_a_variable_that_is_set_to_nothing_counts_as_unset(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=\nC\n")
    assert environment.load({"A": "", "D": ""}, tmp_path / ".env") == {"A": "file"}


def test_a_file_is_taken_literally_and_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("\ufeffAPI_SECRET=file${HOME}\n")
    assert environment.load({"HOME": "x"}, tmp_path / ".env")["API_SECRET"] == "file${HOME}"


def test_no_file_is_fine(tmp_path: Path) -> None:
    assert environment.load({"A": "1"}, tmp_path / ".env") == {"A": "1"}


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert environment.load({"A": "1"}, tmp_path / ".env") == {"A": "1"}


def test_a_file_that_is_no_text_is_named_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"API_SECRET=hush\xff")
    with pytest.raises(environment.BadFile) as refused:
        environment.load({}, tmp_path / ".env")
    assert str(refused.value) == ".env must be UTF-8 text"


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(environment.BadFile) as refused:
        environment.load({}, Path("/proc/self/mem"))  # its first page cannot be read, not even by root
    assert str(refused.value) == "mem cannot be read"
