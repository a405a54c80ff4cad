from __future__ import annotations

from cli.palette import COLOURS, Palette


def test_no_two_pods_share_a_colour_before_all_are_in_use() -> None:
    palette = Palette()
    assert {palette.colour(f"web-{number}") for number in range(len(COLOURS))} == set(COLOURS)


def test_a_pod_keeps_its_colour() -> None:
    palette = Palette()
    pods = [f"web-{number}" for number in range(100)]
    first = [palette.colour(pod) for pod in pods]
    assert [palette.colour(pod) for pod in reversed(pods)] == first[::-1]


def test_a_pod_has_the_same_colour_in_every_run_where_it_is_free() -> None:
    assert Palette().colour("web-0") == Palette().colour("web-0")
    assert len({Palette().colour(f"web-{number}") for number in range(100)}) == len(COLOURS)


def test_colours_are_reused_evenly_when_all_are_in_use() -> None:
    palette = Palette()
    shown = [palette.colour(f"web-{number}") for number in range(1000)]
    assert all(50 < shown.count(colour) < 200 for colour in COLOURS)


def test_any_name_has_a_colour() -> None:
    assert Palette().colour("\ud800") in COLOURS
