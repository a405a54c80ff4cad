from __future__ import annotations

import pytest

from ingest.errors import BodyError, BodyTooLarge, Undecodable, UnsupportedEncoding


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UnsupportedEncoding("br"), "the Content-Encoding must be one of gzip, deflate, snappy, zstd and identity"),
        (BodyTooLarge(1024), "the body is larger than 1024 bytes, after decompression if there is any"),
        (Undecodable("gzip"), "the body cannot be read as gzip"),
    ],
)
def test_a_body_error_says_what_is_wrong_in_one_sentence(error: BodyError, sentence: str) -> None:
    assert str(error) == sentence


def test_a_body_error_keeps_its_facts() -> None:
    assert UnsupportedEncoding("br").encoding == "br"
    assert BodyTooLarge(1024).limit == 1024
    assert Undecodable("gzip").form == "gzip"


def test_an_encoding_that_is_not_known_is_not_repeated() -> None:
    assert "secret" not in str(UnsupportedEncoding("secret"))
