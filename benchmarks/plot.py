"""Plots as SVG: lines over logarithmic axes."""

from __future__ import annotations

from html import escape
from math import ceil, floor, log10
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Points: TypeAlias = "Sequence[tuple[float, float]]"

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 230, 40, 50
# Okabe and Ito's palette, which colour-blind people can tell apart.
_COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
    "#8a8a00",
    "#7f3fbf",
    "#999999",
)


_HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
    'font-family="sans-serif" font-size="12">'
)


class _Axis(NamedTuple):
    """Powers of ten from `low` to `high`, spread over the pixels from `start` to `end`."""

    low: int
    high: int
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.start + (log10(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return the powers of ten."""
        return [10.0**power for power in range(self.low, self.high + 1)]


def plot(title: str, x_label: str, y_label: str, series: Mapping[str, Points]) -> str:
    """Return an SVG document with a line for each series. Values must be above zero."""
    every = [point for points in series.values() for point in points]
    across = _axis([x for x, _ in every], _LEFT, _WIDTH - _RIGHT)
    upwards = _axis([y for _, y in every], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        _HEAD,
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 22, title, size=15),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, x_label, anchor="middle"),
        _text(16, _TOP - 8, y_label),
        *_grid(across, upwards),
        *_lines(series, across, upwards),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _axis(values: list[float], start: float, end: float) -> _Axis:
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return _Axis(low, max(high, low + 1), start, end)


def _grid(across: _Axis, upwards: _Axis) -> Iterator[str]:
    for value in across.ticks():
        yield _line(across.at(value), upwards.start, across.at(value), upwards.end)
        yield _text(across.at(value), upwards.start + 18, f"{value:,.9g}", anchor="middle")
    for value in upwards.ticks():
        yield _line(across.start, upwards.at(value), across.end, upwards.at(value))
        yield _text(across.start - 8, upwards.at(value) + 4, f"{value:,.9g}", anchor="end")


def _lines(series: Mapping[str, Points], across: _Axis, upwards: _Axis) -> Iterator[str]:
    for number, (name, points) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [(across.at(x), upwards.at(y)) for x, y in points]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y in places:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
        height = _TOP + 14 + 20 * number
        yield f'<rect x="{_WIDTH - _RIGHT + 16}" y="{height - 9}" width="10" height="10" fill="{colour}"/>'
        yield _text(_WIDTH - _RIGHT + 32, height, name)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#222222">{escape(text)}</text>'
    )
