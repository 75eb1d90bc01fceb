"""One palette for the channels of a sample: in files, in figures and in napari."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["GREY", "PALETTE", "channel_colours", "is_structural"]

GREY = "#bfbfbf"

PALETTE = ("#ff5a1f", "#19d36b", "#3c7dff", "#f24bd0", "#ffd21f", "#21d9e6", "#a06bff", "#b3f02c")
"""Colours of the elements, in order. They are bright, for additive blending on black, and differ in
lightness as well as in hue, which those with a colour vision deficiency can tell apart."""

# Names of signals of the whole sample: HAADF, ADF, BF, survey..., alone or as a part of a name.
_STRUCTURAL = re.compile(r"(?:^|[^a-z])(?:[hlm]?a?adf|abf|bf|df|stem|survey)(?:[^a-z]|$)", re.IGNORECASE)


def is_structural(name: str) -> bool:
    """Tell whether a signal shows the whole sample (HAADF, ADF, BF...) rather than one element."""
    return _STRUCTURAL.search(name) is not None


def channel_colours(names: Sequence[str]) -> tuple[str, ...]:
    """Choose a colour for every channel.

    Parameters
    ----------
    names : sequence of str
        Names of the channels, in order.

    Returns
    -------
    tuple of str
        ``"#rrggbb"``, one per channel: grey for the first signal of the whole sample (see
        `is_structural`), and the colours of `PALETTE` in order, from its start again when they run
        out, for all others.
    """
    colours: list[str] = []
    coloured = 0
    for name in names:
        if GREY not in colours and is_structural(name):
            colours.append(GREY)
        else:
            colours.append(PALETTE[coloured % len(PALETTE)])
            coloured += 1
    return tuple(colours)
