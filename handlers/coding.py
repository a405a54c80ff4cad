"""The choice of a content coding (RFC 9110, section 12.5.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

_T = TypeVar("_T", bound=str)

_MOST_CODINGS = 32


def chosen(accepted: str, codings: Sequence[_T]) -> _T | None:
    """Return the coding that a client likes best, by its Accept-Encoding field; of equals, the first one."""
    weights = dict[str, float]()
    for part in accepted.lower().split(",", _MOST_CODINGS)[:_MOST_CODINGS]:
        coding, _, parameter = part.partition(";")
        weights[coding.strip()] = _weight(parameter)
    liked = [coding for coding in codings if _of(weights, coding) > 0]
    return max(liked, key=lambda coding: _of(weights, coding), default=None)


def _of(weights: dict[str, float], coding: str) -> float:
    return weights.get(coding, weights.get("*", 0.0))


def _weight(parameter: str) -> float:
    name, _, value = parameter.replace(" ", "").partition("=")
    if name != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
