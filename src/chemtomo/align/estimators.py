"""The estimators by the names that parameters, command line and recipes give them: one row each."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

import numpy as np

from chemtomo.align.automatic import auto_job
from chemtomo.align.matching.projection_matching import projection_matching_job
from chemtomo.align.parameters import AlignParameters, AxisParameters
from chemtomo.align.registration.center_of_mass import center_of_mass_job, com_common_line_job
from chemtomo.align.registration.phase_correlation import phase_correlation_job
from chemtomo.align.registration.stackreg import stackreg_job
from chemtomo.align.tilt_axis.com_path import com_path_job
from chemtomo.align.tilt_axis.max_image import max_image_job
from chemtomo.align.tilt_axis.sharpness import axis_from_sharpness_job
from chemtomo.align.tracks.estimator import patch_tracks_job
from chemtomo.data import Alignment, TiltSeries
from chemtomo.progress import TaskProgress

__all__ = ["ESTIMATORS", "Estimator"]

_Job = Generator[TaskProgress, None, Alignment]
_Stop = Callable[[], bool] | None
_Parameters = AlignParameters | AxisParameters


class Estimator(Protocol):
    """Finds an alignment, or improves the one that is given."""

    def __call__(
        self, series: TiltSeries, start: Alignment | None, parameters: _Parameters, should_stop: _Stop, /
    ) -> _Job:
        """Return the job."""


def _auto(series: TiltSeries, start: Alignment | None, parameters: _Parameters, should_stop: _Stop) -> _Job:
    if not isinstance(parameters, AlignParameters):
        return auto_job(series, start, should_stop=should_stop)
    chosen = parameters.specimen, parameters.distortion
    return auto_job(series, start, specimen=chosen[0], distortion=chosen[1], should_stop=should_stop)


def _patch_tracks(
    series: TiltSeries, start: Alignment | None, parameters: _Parameters, should_stop: _Stop
) -> _Job:
    distortion = parameters.distortion if isinstance(parameters, AlignParameters) else "off"
    return patch_tracks_job(series, start, distortion=distortion, should_stop=should_stop)


def _projection_matching(
    series: TiltSeries, start: Alignment | None, parameters: _Parameters, should_stop: _Stop
) -> _Job:
    return projection_matching_job(series, start, should_stop=should_stop)


def _phase_correlation(
    series: TiltSeries, start: Alignment | None, parameters: _Parameters, should_stop: _Stop
) -> _Job:
    stretch = isinstance(parameters, AlignParameters) and parameters.stretch
    return phase_correlation_job(series, start, reference=_reference(series, parameters), stretch=stretch)


def _stackreg(
    series: TiltSeries, start: Alignment | None, parameters: _Parameters, should_stop: _Stop
) -> _Job:
    return stackreg_job(series, start, reference=_reference(series, parameters))


def _unasked(estimate: Callable[[TiltSeries, Alignment | None], _Job]) -> Estimator:
    """Return the estimator that has no parameters and is too quick to be stopped."""

    def run(series: TiltSeries, start: Alignment | None, parameters: _Parameters, should_stop: _Stop) -> _Job:
        return estimate(series, start)

    return run


def _reference(series: TiltSeries, parameters: _Parameters) -> int | None:
    """Return the number of the projection that stays where it is."""
    tilt = parameters.reference_tilt if isinstance(parameters, AlignParameters) else None
    return None if tilt is None else int(np.abs(series.tilts_deg - tilt).argmin())


ESTIMATORS: dict[str, Estimator] = {
    "auto": _auto,
    "patch-tracks": _patch_tracks,
    "projection-matching": _projection_matching,
    "phase-correlation": _phase_correlation,
    "stackreg": _stackreg,
    "center-of-mass": _unasked(center_of_mass_job),
    "com-common-line": _unasked(com_common_line_job),
    "com-path": _unasked(com_path_job),
    "max-image": _unasked(max_image_job),
    "sharpness": _unasked(axis_from_sharpness_job),
}
"""A value of `AlignParameters.method` or `axis`, and what it runs."""
