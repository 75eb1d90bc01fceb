"""Where projection matching begins when nobody says so."""

from __future__ import annotations

from collections.abc import Callable

from chemtomo.align.registration.center_of_mass import center_of_mass
from chemtomo.align.registration.phase_correlation import phase_correlation
from chemtomo.align.starting_point import current
from chemtomo.align.tilt_axis.com_path import com_path
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import ChemTomoError

__all__ = ["own_start"]


def own_start(series: TiltSeries, disagreement: Callable[[TiltSeries, Alignment], float]) -> Alignment:
    """Return the best of a few starts: the series as it is, or registered, with its tilt axis.

    Parameters
    ----------
    series : TiltSeries
        With the alignment that it has, if any.
    disagreement : callable
        How badly projections predict each other with an alignment.
    """
    best = current(series)
    lowest = disagreement(series, best)
    for register in (center_of_mass, phase_correlation):
        try:
            found = com_path(series, register(series, best if series.alignment else None))
            score = disagreement(series, found)
        except (ChemTomoError, ArithmeticError, ValueError):
            continue
        if score < lowest:
            best, lowest = found, score
    return best
