from __future__ import annotations

from collections import defaultdict

import pytest

from buffer.jetstream.shares import MIN_SECONDS, Shares
from tests.buffer.factories import source

HOUR = 3600
MIB = 1 << 20


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_quiet_source_is_kept_for_the_full_time() -> None:
    shares = Shares(16 * MIB, HOUR, Clock())
    assert shares.seconds(source(), 2000) == HOUR


def test_a_source_that_writes_more_than_there_is_room_for_is_kept_for_as_long_as_it_fits() -> None:
    clock = Clock()
    shares = Shares(16 * MIB, HOUR, clock)
    for _ in range(600):
        seconds = shares.seconds(source(), 64 * 1024)
        clock.now += 1
    assert seconds == pytest.approx(16 * MIB / 65536, rel=0.05)


def test_no_source_is_kept_for_less_than_the_minimum() -> None:
    shares = Shares(MIB, HOUR, Clock())
    assert shares.seconds(source(), 100 * MIB) == MIN_SECONDS


def test_the_minimum_is_not_above_the_full_time() -> None:
    assert Shares(MIB, 20, Clock()).seconds(source(), 100 * MIB) == 20


def test_replicas_that_publish_share_what_a_namespace_may_hold() -> None:
    clock = Clock()
    shares = Shares(16 * MIB, HOUR, clock)
    shares.replicas = 4
    for _ in range(600):
        seconds = shares.seconds(source(), 16 * 1024)
        clock.now += 1
    assert seconds == pytest.approx(16 * MIB / 65536, rel=0.05)


def test_four_chatty_pods_leave_a_quiet_one_its_history_and_share_the_rest() -> None:
    clock = Clock()
    shares = Shares(16 * MIB, HOUR, clock)
    seconds, rates = dict[str, int](), {"quiet": 100, **{f"chatty-{n}": 50 * 1024 for n in range(4)}}
    for _ in range(300):
        for pod, rate in rates.items():
            seconds[pod] = shares.seconds(source(pod=pod), rate)
        clock.now += 1
    assert seconds["quiet"] == HOUR
    held = sum(rates[pod] * seconds[pod] for pod in rates if pod != "quiet")
    assert held == pytest.approx(16 * MIB - HOUR * 100, rel=0.1)


def test_namespaces_do_not_share() -> None:
    clock = Clock()
    shares = Shares(16 * MIB, HOUR, clock)
    for _ in range(100):
        shares.seconds(source("loud"), MIB)
        clock.now += 1
    assert shares.seconds(source("quiet"), 2000) == HOUR


def test_a_source_that_falls_silent_gets_its_full_time_back() -> None:
    clock = Clock()
    shares = Shares(16 * MIB, HOUR, clock)
    for _ in range(100):
        shares.seconds(source(), MIB)
        clock.now += 1
    clock.now += 1200
    shares.seconds(source(pod="other"), 100)
    assert shares.seconds(source(), 2000) == HOUR


def test_any_number_of_sources_and_namespaces_is_taken() -> None:
    clock = Clock()
    shares = Shares(16 * MIB, HOUR, clock)
    kept = defaultdict[int, int](int)
    for number in range(5000):
        kept[shares.seconds(source(pod=f"web-{number}"), 600)] += 1
        kept[shares.seconds(source(f"n{number}"), 600)] += 1
        clock.now += 0.001
    assert sum(kept.values()) == 10_000
