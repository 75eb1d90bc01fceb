"""Align tilt series: find an alignment on one channel, or on a sum of channels, and link it to all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from chemtomo.align.parameters import AlignParameters, AxisParameters, LinkParameters, UseAlignment
from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.data.colours import is_structural
from chemtomo.errors import DataError, ParameterError
from chemtomo.progress import TaskProgress

__all__ = [
    "AlignmentResult",
    "Linked",
    "alignment_table",
    "exact_alignments",
    "find_axis",
    "link_channels",
    "link_dataset",
    "preview_axis",
    "reference_series",
    "run_alignment",
    "save_alignment",
]

_SEPARATOR = "+"

_Job = Generator[TaskProgress, None, Alignment]


@dataclasses.dataclass(frozen=True)
class Linked:
    """An alignment that was carried to another channel.

    Attributes
    ----------
    alignment : Alignment
        In the tilts and pixels of the channel.
    shift_px : numpy.ndarray, shape (2,), optional
        The shift ``(y, x)`` against the reference, where it was looked for; it is in the alignment.
    """

    alignment: Alignment
    shift_px: npt.NDArray[np.float64] | None = None


@dataclasses.dataclass(frozen=True)
class AlignmentResult:
    """An alignment, and the dataset whose series have it.

    Attributes
    ----------
    alignment : Alignment
        That of the reference.
    dataset : Dataset
        The series as recorded, each with the alignment in its own tilts and pixels.
    report : dict
        Method, tilt axis and residuals, as JSON values.
    """

    alignment: Alignment
    dataset: Dataset
    report: dict[str, Any]


def run_alignment(
    dataset: Dataset,
    parameters: AlignParameters,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, AlignmentResult]:
    """Find an alignment and link it to every series of a dataset.

    Parameters
    ----------
    dataset : Dataset
        As recorded. The alignment of a series is the starting point, if the method has one.
    parameters : AlignParameters
        Reference and method.
    should_stop : callable, optional
        Asked between iterations; ``True`` ends the search with the present alignment.

    Yields
    ------
    TaskProgress
        What is being done.

    Returns
    -------
    AlignmentResult
        Nothing is interpolated: the series keep their data.

    Raises
    ------
    ChemTomoError
        When there is no such channel, or the method cannot be used with these data.
    """
    reference = reference_series(dataset, parameters.reference)
    alignment = reference.alignment
    near = reference.axis_angle_deg if parameters.axis_near is None else parameters.axis_near
    if alignment is None and near is not None:
        from chemtomo.align import current, set_axis

        alignment = set_axis(current(reference), near, 0.0)
    begins_with_nothing = reference.alignment is None
    finds_axis = parameters.method in ("auto", "patch-tracks", "projection-matching")
    if parameters.method == "projection-matching" and begins_with_nothing:
        # It refines, and may fail without a starting point.
        for coarse in ("phase-correlation", "com-path"):
            alignment = yield from _estimate(coarse, reference, alignment, parameters, should_stop)
    if parameters.method != "none":
        alignment = yield from _estimate(parameters.method, reference, alignment, parameters, should_stop)
    if not finds_axis and parameters.axis != "none":
        alignment = yield from _estimate(parameters.axis, reference, alignment, parameters, should_stop)
    if alignment is None:
        raise ParameterError("found method none and axis none; expected a method or an axis")
    aligned = []
    for number, series in enumerate(dataset):
        yield TaskProgress(number, len(dataset), f"Linking {series.name}")
        linked = _linked(alignment, series, reference, parameters.residual_shift)
        aligned.append(series.replace(alignment=linked.alignment))
    begun = {"axis_near_deg": near or 0.0, "axis_near_from": _axis_source(reference, parameters)}
    return AlignmentResult(alignment, Dataset(tuple(aligned)), _report(alignment, aligned) | begun)


def _axis_source(reference: TiltSeries, parameters: AlignParameters) -> str:
    """Return the source of the direction near which the tilt axis is searched."""
    if reference.alignment is not None:
        return "alignment"
    if parameters.axis_near is not None:
        return "parameter"
    return "default" if reference.axis_angle_deg is None else "file"


def find_axis(
    dataset: Dataset,
    parameters: AxisParameters,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> _Job:
    """Find the tilt axis on the one series of a dataset, which keeps its registration."""
    series = reference_series(dataset, "")
    alignment = series.alignment
    if alignment is None and series.axis_angle_deg:
        from chemtomo.align import current, set_axis

        alignment = set_axis(current(series), series.axis_angle_deg, 0.0)
    alignment = yield from _estimate(parameters.axis, series, alignment, parameters, should_stop)
    return alignment


def preview_axis(
    series: TiltSeries, alignment: Alignment | None, parts: Sequence[float]
) -> Generator[TaskProgress, None, Any]:
    """Reconstruct a few slices to look at, see `chemtomo.align.axis_preview`; as a job."""
    from chemtomo.align import axis_preview

    yield TaskProgress(0, 1, "Reconstructing slices")
    return axis_preview(series, alignment, parts)


def link_channels(
    alignment: Alignment,
    targets: Sequence[TiltSeries],
    parameters: LinkParameters,
    *,
    reference: TiltSeries | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[TaskProgress, None, list[Linked] | None]:
    """Carry an alignment to other channels.

    Parameters
    ----------
    alignment : Alignment
        That of the reference.
    targets : sequence of TiltSeries
        Recorded at the same time; their tilts and pixels may differ.
    parameters : LinkParameters
        Whether to look for a shift between detectors.
    reference : TiltSeries, optional
        The aligned channel, against which a shift between detectors is measured.

    Returns
    -------
    list of Linked
        One per target; ``None`` after a stop.
    """
    linked = []
    for number, series in enumerate(targets):
        if should_stop is not None and should_stop():
            return None
        yield TaskProgress(number, len(targets), f"Linking {series.name}")
        linked.append(_linked(alignment, series, reference, parameters.residual_shift))
    return linked


def link_dataset(dataset: Dataset, alignment: Alignment) -> Dataset:
    """Carry an alignment to every series of a dataset, by tilts and pixel sizes."""
    return dataset.map(lambda one: one.replace(alignment=_linked(alignment, one, None, False).alignment))


def exact_alignments(dataset: Dataset) -> UseAlignment:
    """Return the step that gives every series the alignment that it has."""
    return UseAlignment(
        alignments={one.name: alignment_table(one.alignment) for one in dataset if one.alignment is not None}
    )


def alignment_table(alignment: Alignment) -> dict[str, Any]:
    """Return the numbers of an alignment for a recipe: those on which a result depends."""
    left_out = ("residual_px", "provenance")
    return {
        name: value
        for name, value in alignment.to_json().items()
        if value is not None and name not in left_out
    }


def reference_series(dataset: Dataset, wanted: str) -> TiltSeries:
    """Return the series on which an alignment is found.

    Parameters
    ----------
    dataset : Dataset
        The channels.
    wanted : str
        A name or a unique prefix, several with ``+`` between them for their sum, or nothing: the first
        channel with the name of a structural image, else the first intensity, else the counts with the
        highest mean.

    Raises
    ------
    ParameterError
        When there is no such channel.
    DataError
        When the channels of a sum differ in geometry.
    """
    if wanted and wanted not in dataset.names and _SEPARATOR in wanted:
        from chemtomo.align import sum_of_channels

        names = [dataset.resolve(name.strip()) for name in wanted.split(_SEPARATOR)]
        return sum_of_channels(dataset, names)
    if wanted:
        return dataset[wanted]
    for accepted in (lambda one: is_structural(one.name), lambda one: one.kind == "intensity"):
        found = next((one for one in dataset if accepted(one)), None)
        if found is not None:
            return found
    return max(dataset, key=lambda one: sum(float(image.mean()) for image in one.projections()))


def save_alignment(alignment: Alignment, path: Path) -> None:
    """Write an alignment as JSON; an interrupted write leaves the old file.

    Raises
    ------
    WriteError
        When the file cannot be written.
    """
    from chemtomo.io.atomic import write_json

    write_json(alignment.to_json(), path, strict=True)


def _estimate(
    method: str,
    series: TiltSeries,
    alignment: Alignment | None,
    parameters: AlignParameters | AxisParameters,
    should_stop: Callable[[], bool] | None,
) -> _Job:
    """Run an estimator of `ESTIMATORS` as a job."""
    from chemtomo.align.estimators import ESTIMATORS

    yield TaskProgress(0, 1, f"{method}: {series.name}")
    found = yield from ESTIMATORS[method](series, alignment, parameters, should_stop)
    return found


def _linked(
    alignment: Alignment, series: TiltSeries, reference: TiltSeries | None, residual_shift: bool
) -> Linked:
    from chemtomo.align import link_with_shift

    itself = reference is not None and reference.name == series.name
    if not residual_shift or itself or reference is None:
        return Linked(*link_with_shift(alignment, series))
    aligned = reference.replace(alignment=alignment)
    return Linked(*link_with_shift(alignment, series, reference=aligned, residual_shift=True))


def _report(alignment: Alignment, aligned: Sequence[TiltSeries]) -> dict[str, Any]:
    from chemtomo.align import covered_rows, warnings_of

    try:
        rows = list(covered_rows(alignment))
    except DataError:  # no rows in common after the shifts; the residuals show more
        rows = None
    residual = alignment.residual_px
    known = None if residual is None else residual[np.isfinite(residual)]
    # What the last step says that says anything about it.
    said: dict[str, Any] = {
        name: value for entry in alignment.provenance for name, value in entry.items() if value is not None
    }
    return {
        "reference": alignment.reference,
        "method": alignment.method,
        "axis_angle_deg": alignment.axis_angle_deg,
        "axis_angle_error_deg": said.get("angle error, deg"),
        "axis_offset_px": alignment.axis_offset_px,
        "residual_px": None
        if known is None or not known.size
        else {"median": float(np.median(known)), "largest": float(known.max())},
        "specimen": said.get("specimen"),
        "disagreement_px": said.get("disagreement, px"),
        "not_determined": said.get("not determined", []),
        "warnings": warnings_of(alignment),
        "rows_at_every_tilt": rows,
        "channels": [one.name for one in aligned],
        "provenance": list(alignment.provenance),
    }
