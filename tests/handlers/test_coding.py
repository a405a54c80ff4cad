from __future__ import annotations

import pytest

from handlers.coding import chosen


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("zstd", "zstd"),
        ("deflate, br", None),
        ("gzip, deflate, br, zstd", "gzip"),
        ("zstd, gzip", "gzip"),
        ("zstd;q=1, gzip;q=0.9", "zstd"),
        ("gzip; q = 0.5 , zstd;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.000, zstd", "zstd"),
        ("gzip;q=nonsense", None),
        ("gzip;what", "gzip"),
        ("*", "gzip"),
        ("*;q=0", None),
        ("gzip;q=0, *", "zstd"),
        (", ;;=,", None),
        ("x," * 100 + "gzip", None),
    ],
)
def test_a_client_gets_the_coding_that_it_likes_best(accepted: str, coding: str | None) -> None:
    assert chosen(accepted, ("gzip", "zstd")) == coding
