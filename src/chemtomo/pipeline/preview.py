"""Preview: the same reconstruction at half the resolution."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from chemtomo.data import Dataset, Volume
from chemtomo.errors import ParameterError
from chemtomo.preprocess import bin_pixels
from chemtomo.recon.parameters import ReconstructParameters

__all__ = [
    "FACTOR",
    "binned_range",
    "full_resolution_origin",
    "full_resolution_strength",
    "in_full_resolution_units",
    "preview_of",
]

FACTOR = 2
"""Pixels of a bin along ``y`` and ``x``."""


# Of the regularisation of binned data: see `preview_of`.
_BALANCE = 2 * math.sqrt(2)


def preview_of(dataset: Dataset, parameters: ReconstructParameters) -> tuple[Dataset, ReconstructParameters]:
    """Bin the projections, and convert ranges and weights to the binned pixels.

    Counts are summed in a bin, which keeps their statistics; intensities are averaged. The weights are
    chosen so that the binned objective is about the same function of the continuous sample: edges have a
    quarter of the voxels, the normalised image is larger by the square root of 2, and, in the paper's
    normalisation, there is a quarter of the data. The weight of second derivatives is halved.

    Parameters
    ----------
    dataset : Dataset
        The prepared data.
    parameters : ReconstructParameters
        At full resolution.

    Raises
    ------
    ParameterError
        When a range is empty after binning, or limits and grey levels are given for counts and intensities
        together, whose values change by different factors.
    """
    changes: dict[str, object] = {"preview": False}
    if parameters.normalisation == "paper" and not isinstance(parameters.mu, str):
        changes["mu"] = {name: mu * _BALANCE for name, mu in parameters.mu.items()}
    elif parameters.normalisation == "counts" and not isinstance(parameters.strength, str):
        changes["strength"] = parameters.strength * _BALANCE
    changes["alpha0"] = parameters.alpha0 / FACTOR
    if parameters.slices is not None:
        changes["slices"] = binned_range(parameters.slices, dataset.series[0].shape[1])
    if isinstance(parameters.crop, tuple):
        changes["crop"] = binned_range(parameters.crop, dataset.series[0].shape[2])
    changes |= _voxel_values(dataset, parameters)
    return dataset.map(lambda series: bin_pixels(series, FACTOR)), parameters.model_copy(update=changes)


def _voxel_values(dataset: Dataset, parameters: ReconstructParameters) -> dict[str, object]:
    """Convert the parameters that are values of voxels to those of binned voxels."""
    values = {"minimum": parameters.minimum, "maximum": parameters.maximum}
    given = {name: value for name, value in values.items() if value is not None}
    if not given and not parameters.grey_levels:
        return {}
    scales = set(_value_scales(dataset))
    if len(scales) > 1:
        raise ParameterError(
            "preview: found limits or grey levels for counts and intensities together, whose values differ "
            "in a preview; expected signals of one kind. Preview them one by one, or without limits"
        )
    (scale,) = scales
    levels = tuple(scale * level for level in parameters.grey_levels)
    return {name: scale * value for name, value in given.items()} | {"grey_levels": levels}


def full_resolution_strength(binned: ReconstructParameters) -> float:
    """Return the strength at the whole resolution to which that of a preview corresponds."""
    return float(binned.strength) / _BALANCE


def binned_range(pixels: tuple[int, int], size: int) -> tuple[int, int]:
    """Return the bins that hold the pixels ``start <= i < stop`` of `size`.

    An incomplete last bin is left out; a single pixel is one bin.
    """
    start, stop = pixels
    most = max(1, size // FACTOR)
    first = min(start // FACTOR, most - 1)
    return first, max(first + 1, min(-(-stop // FACTOR), most))


def in_full_resolution_units(volume: Volume, dataset: Dataset) -> Volume:
    """Scale a preview of `dataset` to the values of voxels at full resolution.

    A binned intensity is a mean over a ray that crosses half as many voxels; binned counts are the
    sum over eight times the volume (four times, of a single row).
    """
    scale = np.array(_value_scales(dataset), dtype=np.float32)[:, None, None, None]
    return dataclasses.replace(
        volume, data=volume.data / scale, origin_px=full_resolution_origin(volume.origin_px)
    )


def _value_scales(dataset: Dataset) -> list[int]:
    """Return the factors of the values of binned voxels, one per series."""
    rows = min(FACTOR, dataset.series[0].shape[1])
    return [FACTOR**2 * rows if series.kind == "counts" else FACTOR for series in dataset]


def full_resolution_origin(origin_px: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the index of the first voxel of a preview, from the centre of the first unbinned voxel."""
    # the centre of the first bin, in units of bins
    shift = (FACTOR - 1) / (2 * FACTOR)
    z, y, x = (index + shift for index in origin_px)
    return z, y, x
