"""A volume against the data that it was made from: reprojections, residuals, and a chi-squared per tilt."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.data import TiltSeries, Volume
from chemtomo.errors import DataError
from chemtomo.operators import BinnedProjector, Projector
from chemtomo.recon.frame import Frame

__all__ = ["Residuals", "coupling_warning", "residuals"]

_Array = npt.NDArray[np.float64]

_BAD_PROJECTION = 5.0  # standard deviations, by the median deviation, above the median of all tilts
_COMPLETE = 1e-3  # of a ray may lie beside the volume
_SIGNIFICANT = 3.0  # standard deviations of a chi-squared


@dataclasses.dataclass(frozen=True, eq=False)
class Residuals:
    """What a volume says of one signal, and how the data differ from it.

    Attributes
    ----------
    name : str
        The signal.
    tilts_deg : numpy.ndarray, shape (tilt,)
        Tilts in degrees.
    reprojection : numpy.ndarray, shape (tilt, y, x), float32
        The expected data: gains, background and all.
    residual : numpy.ndarray, shape (tilt, y, x), float32
        Data less reprojection, over the standard deviation of the noise; 0 where a pixel is not valid, or
        where a part of its ray is not in the volume.
    chi_squared : numpy.ndarray, shape (tilt,)
        Sum of the squared differences over the sum of the variances: about 1 where there is nothing but
        noise. NaN where no pixel counts.
    pixels : numpy.ndarray of int, shape (tilt,)
        How many pixels count.
    variance : numpy.ndarray, shape (tilt, y, x), float32
        Of the noise.
    complete : numpy.ndarray of bool, shape (tilt, 1, x)
        Whether the whole ray is in the volume.
    rows, columns : (int, int)
        Rows ``y`` and columns ``x`` of the data that are compared, start and stop.
    noise : str
        Where the variance is from, in words.
    """

    name: str
    tilts_deg: _Array
    reprojection: npt.NDArray[np.float32]
    residual: npt.NDArray[np.float32]
    chi_squared: _Array
    pixels: npt.NDArray[np.intp]
    variance: npt.NDArray[np.float32]
    complete: npt.NDArray[np.bool_]
    rows: tuple[int, int]
    columns: tuple[int, int]
    noise: str

    @property
    def mean_chi_squared(self) -> float:
        """Chi-squared of all tilts together."""
        used = self.pixels > 0
        return float(np.average(self.chi_squared[used], weights=self.pixels[used])) if used.any() else np.nan

    @property
    def bad_tilts_deg(self) -> tuple[float, ...]:
        """Tilts whose projection agrees with the volume much less than the others do."""
        used = np.flatnonzero(self.pixels > 0)
        if used.size < 5:
            return ()
        values = self.chi_squared[used]
        middle = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(values - middle)))
        # Also without any bad one the values spread by the statistics of their pixels.
        spread = max(spread, middle * float(np.sqrt(2 / self.pixels[used].mean())))
        return tuple(float(self.tilts_deg[i]) for i in used[values > middle + _BAD_PROJECTION * spread])


def residuals(frame: Frame, volume: Volume) -> tuple[Residuals, ...]:
    """Project a volume and compare it with the data, signal by signal.

    Parameters
    ----------
    frame : Frame
        The data as the reconstruction had them, and where the volume belongs.
    volume : Volume
        The result, not a preview.

    Raises
    ------
    DataError
        When the volume does not belong to the data.
    """
    image = _cropped(volume, frame)
    slices = image.shape[2]
    inside = Projector(frame.geometry, 1, 1)
    here = np.zeros((1, *_slice_shape(frame)), np.float32)
    here[..., frame.margin : here.shape[-1] - frame.margin] = 1
    covered = inside.forward(here)[0, :, 0]
    everywhere = inside.forward(np.ones_like(here))[0, :, 0]
    complete = (covered > 0) & (covered >= (1 - _COMPLETE) * everywhere)
    factors, lifts = frame.resolutions.factors, frame.resolutions.lifts
    projector = BinnedProjector(frame.geometry, len(frame.dataset), slices, factors)
    projected = projector.forward(image)
    results = []
    for channel, series in enumerate(frame.dataset):
        place = frame.joint.places[channel]
        expected = projected[channel][place].astype(np.float64)
        if series.gains is not None:
            expected *= series.gains[:, np.newaxis, np.newaxis]
        if series.background is not None:
            expected += np.stack(list(series.backgrounds()))
        results.append(
            _compare(
                series, expected, complete[place][:, np.newaxis], frame, factors[channel], lifts[channel]
            )
        )
    return tuple(results)


def coupling_warning(coupled: Residuals, alone: Residuals) -> str | None:
    """Say whether coupling makes a signal fit its data worse than its noise explains; None if not.

    Parameters
    ----------
    coupled, alone : Residuals
        Of the same signal, reconstructed with the coupling and without.
    """
    pixels = int(coupled.pixels.sum())
    if pixels == 0:
        return None
    allowed = 1 + _SIGNIFICANT * float(np.sqrt(2 / pixels))
    with_it, without = coupled.mean_chi_squared, alone.mean_chi_squared
    if with_it <= allowed or with_it - without < 0.5 * (with_it - 1):
        return None
    return (
        f"{coupled.name}: chi-squared {with_it:.3g} with the coupling and {without:.3g} without. The "
        "coupling bends this signal away from its data more than its noise explains: look at its residuals, "
        "reconstruct it alone, or give its data more weight"
    )


def _slice_shape(frame: Frame) -> tuple[int, int, int]:
    height, width = frame.geometry.volume_shape
    return height, 1, width


def _cropped(volume: Volume, frame: Frame) -> npt.NDArray[np.float32]:
    """Return the image that the geometry of a frame projects, (channel, z reversed, y, x)."""
    height, _, width = _slice_shape(frame)
    slices = frame.slices[1] - frame.slices[0]
    data = volume.data
    if not frame.keep_crop:
        if data.shape[1:] != (frame.edge, slices, frame.edge):
            raise DataError(
                f"residuals: found a volume of {data.shape[1:]} voxels; expected "
                f"{(frame.edge, slices, frame.edge)}, the result of these data"
            )
        data = data[:, frame.rows[0] : frame.rows[1], :, frame.columns[0] : frame.columns[1]]
    image = np.zeros((len(data), height, slices, width), np.float32)
    if volume.names != frame.dataset.names or data.shape != (*image.shape[:3], width - 2 * frame.margin):
        raise DataError(
            f"residuals: found a volume of {', '.join(volume.names)} and {data.shape[1:]} voxels; expected "
            f"{', '.join(frame.dataset.names)} and {(*image.shape[1:3], width - 2 * frame.margin)}"
        )
    image[..., frame.margin : width - frame.margin] = data[:, ::-1]
    return image


def _compare(
    series: TiltSeries,
    expected: _Array,
    complete: npt.NDArray[np.bool_],
    frame: Frame,
    factor: int,
    lift: float,
) -> Residuals:
    """Compare in the pixels of the signal: on those of the volume its pixel is the first of a cell."""
    own = (slice(None), slice(None, None, factor), slice(None, None, factor))
    data = np.stack([projection.astype(np.float64) for projection in series.projections()])[own] / lift
    expected = expected[own] / lift
    tilts, _, width = complete.shape
    complete = np.asarray(complete.reshape(tilts, 1, width // factor, factor).all(axis=-1))
    counted = np.stack(list(series.valid_pixels()))[own] & complete
    variance, noise = _variance(series, data, expected)
    difference = np.where(counted, data - expected, 0)
    weight = np.where(counted, variance, 0).sum(axis=(1, 2))
    chi_squared = np.divide(
        (difference**2).sum(axis=(1, 2)), weight, out=np.full(weight.shape, np.nan), where=weight > 0
    )
    floor = 0.1 * float(variance[counted].mean()) if counted.any() else 1.0
    residual = difference / np.sqrt(np.maximum(variance, max(floor, 1e-30)))
    return Residuals(
        series.name,
        series.tilts_deg,
        expected.astype(np.float32),
        residual.astype(np.float32),
        chi_squared,
        counted.sum(axis=(1, 2)),
        variance.astype(np.float32),
        complete,
        (frame.slices[0] // factor, frame.slices[1] // factor),
        (frame.columns[0] // factor, frame.columns[1] // factor),
        noise,
    )


def _variance(series: TiltSeries, data: _Array, expected: _Array) -> tuple[_Array, str]:
    """Variance of the noise of every pixel, and where it is from."""
    if series.kind == "counts":
        return np.maximum(expected, 0), "that of counts"
    # Of what a projection has from pixel to pixel, nearly all is noise (Immerkaer 1996); the median is not
    # moved by edges.
    if min(data.shape[1:]) < 3:
        return np.full(data.shape, float(np.var(data - expected))), "the spread of the residuals"
    rough = np.diff(np.diff(data, n=2, axis=1), n=2, axis=2)
    sigma = 1.4826 * np.median(np.abs(rough), axis=(1, 2)) / 6.0
    least = 1e-6 * float(np.abs(data).max())
    variance: _Array = np.broadcast_to(np.maximum(sigma, least)[:, np.newaxis, np.newaxis] ** 2, data.shape)
    return variance, "what a projection has from pixel to pixel"
