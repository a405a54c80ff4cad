"""Which pod gets which colour."""

from __future__ import annotations

from zlib import crc32

# Of the sixteen colours that every terminal has, those that can be read on black and on white alike.
COLOURS = tuple(f"\x1b[{code}m" for code in (36, 32, 35, 34, 33, 96, 92, 95, 94, 31))


class Palette:
    """The colours of pods: each keeps its own, and no two share one before all are in use."""

    def __init__(self) -> None:
        # Of the first pods only. When all colours are in use, a pod's name alone decides, and needs no memory.
        self._given: dict[str, str] = {}

    def colour(self, pod: str) -> str:
        """Return what sets the colour of a pod: where it is free, the same one in every run."""
        colour = self._given.get(pod)
        if colour is not None:
            return colour
        first = crc32(pod.encode("utf-8", "replace")) % len(COLOURS)
        if len(self._given) == len(COLOURS):
            return COLOURS[first]
        taken = set(self._given.values())
        colour = next(one for one in COLOURS[first:] + COLOURS[:first] if one not in taken)
        self._given[pod] = colour
        return colour
