"""Misaligned tilt series of samples with particles, with their true alignment."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.errors import ParameterError
from chemtomo.geometry import affine
from chemtomo.samples.bodies import Body, Box, Ellipsoid, project

__all__ = ["Misalignment", "SampleName", "Simulated", "misaligned", "particles"]

SampleName = Literal["sphere", "needle", "slab"]

_INTRUDER = (0.05, 0.22, 0.74)
_BRIGHTNESS = 1000.0


@dataclasses.dataclass(frozen=True)
class Misalignment:
    """How a tilt series is out of alignment.

    Attributes
    ----------
    shifts_px : float
        Largest shift: shifts along ``y`` and ``x`` are drawn uniformly up to this, in both directions, per
        tilt.
    drift_px : float
        Amplitude of a slow drift that is added to them.
    axis_angle_deg : float
        Angle of the tilt axis with ``y``, towards ``x``.
    axis_offset_px : float
        How far the tilt axis is from the middle of the detector.
    """

    shifts_px: float = 10.0
    drift_px: float = 0.0
    axis_angle_deg: float = 0.0
    axis_offset_px: float = 0.0


@dataclasses.dataclass(frozen=True)
class Simulated:
    """A simulated tilt series with its true alignment.

    Attributes
    ----------
    series : TiltSeries
        As recorded: not aligned. Its name is ``"HAADF"``.
    maps : Dataset or None
        Element maps of the same recording, Poisson counts.
    truth : Alignment
        The alignment of the recording.
    positions : numpy.ndarray, shape (particle, 3)
        Where the particles are, ``(z, y, x)`` in pixels from the middle of the volume.
    """

    series: TiltSeries
    maps: Dataset | None
    truth: Alignment
    positions: npt.NDArray[np.float64]

    @property
    def dataset(self) -> Dataset:
        """The series with its maps, as recorded."""
        return Dataset((self.series, *(() if self.maps is None else self.maps)))


def particles(
    sample: SampleName = "sphere",
    *,
    shape: tuple[int, int] = (256, 256),
    tilts_deg: npt.ArrayLike | None = None,
    misalignment: Misalignment | None = None,
    dose: float | None = None,
    read_noise: float = 0.0,
    pedestal: float = 0.0,
    intruder: bool = False,
    counts: float | None = None,
    seed: int = 0,
) -> Simulated:
    """Simulate a tilt series of a sample with small particles, recorded out of alignment.

    Each pixel is the mean of exact projections at points within the pixel of the misaligned detector:
    no image is interpolated.

    Parameters
    ----------
    sample : {"sphere", "needle", "slab"}
        A sphere that carries particles; a needle along the tilt axis, longer than the field; or a slab,
        wider than the field.
    shape : (int, int)
        Rows and columns of a projection; the sample scales with the smaller.
    tilts_deg : array_like, optional
        Tilts in degrees; -76 to 76 in steps of 2 by default.
    misalignment : Misalignment, optional
        Shifts of up to 10 pixels by default.
    dose : float, optional
        Counts in the brightest pixel, with Poisson noise; without it there is none.
    read_noise : float
        Standard deviation of the detector's noise, as a fraction of the brightest pixel.
    pedestal : float
        Background that is the same everywhere, as a fraction of the brightest pixel.
    intruder : bool
        Whether a body outside of the field at 0 degrees enters it at high tilt.
    counts : float, optional
        Expected counts per pixel, on average over where the sample is, in the sum of two element maps, of
        the particles and of what carries them.
    seed : int
        Seed of sample, shifts and noise.

    Returns
    -------
    Simulated
        The recording and the truth.

    Raises
    ------
    ParameterError
        When the sample is not known, the shape too small or a number negative.
    """
    if sample not in get_args(SampleName):
        raise ParameterError(f"particles: found the sample {sample!r}; expected {get_args(SampleName)}")
    if min(shape) < 32:
        raise ParameterError(f"particles: found the shape {shape}; expected at least 32 x 32 pixels")
    if min(read_noise, pedestal, dose or 0, counts or 0) < 0:
        raise ParameterError("particles: found a negative noise, background or dose; expected none")
    rng = np.random.default_rng(seed)
    tilts = np.arange(-76.0, 77.0, 2.0) if tilts_deg is None else np.asarray(tilts_deg, dtype=np.float64)
    carrier, scattered = _specimen(sample, min(shape), rng)
    truth = misaligned(tilts, shape, misalignment or Misalignment(), rng)
    parts = [project(bodies, tilts, truth.matrices, shape) for bodies in ((carrier,), scattered)]
    expected = parts[0] + parts[1]
    scale = _BRIGHTNESS / expected.max()
    brightest = _BRIGHTNESS
    expected *= scale
    if intruder:
        size = min(shape)
        centre = tuple(part * size for part in _INTRUDER)
        other = Ellipsoid((centre[0], centre[1], centre[2]), (0.1 * size,) * 3, carrier.density)
        expected += scale * project((other,), tilts, truth.matrices, shape)
    expected += pedestal * brightest
    recorded = rng.poisson(expected * dose / brightest) * (brightest / dose) if dose else expected
    recorded = recorded + rng.normal(0, read_noise * brightest, recorded.shape) if read_noise else recorded
    source = f"simulated {sample}, seed {seed}"
    series = TiltSeries("HAADF", recorded.astype(np.float32), tilts, source=source)
    maps = None if counts is None else _element_maps(parts, counts, tilts, source, rng)
    return Simulated(series, maps, truth, np.array([body.centre for body in scattered]))


def _element_maps(
    parts: list[npt.NDArray[np.float64]],
    counts: float,
    tilts: npt.NDArray[np.float64],
    source: str,
    rng: np.random.Generator,
) -> Dataset:
    """Poisson counts of the carrier and of the particles."""
    total = parts[0] + parts[1]
    factor = counts / total[total > 0.02 * total.max()].mean()
    return Dataset(
        tuple(
            TiltSeries(
                name, rng.poisson(factor * part).astype(np.uint16), tilts, kind="counts", source=source
            )
            for name, part in zip(("carrier", "particles"), parts, strict=True)
        )
    )


def misaligned(
    tilts: npt.NDArray[np.float64], shape: tuple[int, int], wrong: Misalignment, rng: np.random.Generator
) -> Alignment:
    """Draw the shifts of a recording. The true alignment rotates and offsets the axis, then shifts."""
    count = tilts.size
    shifts = rng.uniform(-wrong.shifts_px, wrong.shifts_px, (2, count))
    phase = rng.uniform(0, 2 * np.pi, 2)[:, np.newaxis]
    shifts += wrong.drift_px * np.sin(np.linspace(0, 1.5 * np.pi, count) + phase)
    axis = affine.tilt_axis(wrong.axis_angle_deg, wrong.axis_offset_px, shape)
    return Alignment(
        reference="HAADF",
        tilts_deg=tilts,
        matrices=affine.compose(affine.translation(*shifts), axis),
        axis_angle_deg=wrong.axis_angle_deg,
        axis_offset_px=wrong.axis_offset_px,
        shape=shape,
        method="truth",
    )


def _specimen(sample: str, size: int, rng: np.random.Generator) -> tuple[Body, tuple[Ellipsoid, ...]]:
    """Return what carries the particles, and the particles."""
    count = 40
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    along, across = rng.uniform(-1, 1, (2, count))
    carrier: Body
    if sample == "sphere":
        radius = 0.23 * size
        centre = np.array([-0.025, -0.012, 0.018]) * size  # nothing is exactly on the axis
        carrier = Ellipsoid((centre[0], centre[1], centre[2]), (radius,) * 3)
        places = centre + radius * direction
    elif sample == "needle":
        radius = 0.16 * size
        carrier = Ellipsoid((0.01 * size, 0.0, -0.015 * size), (radius, 8 * size, radius))
        around = direction[:, [0, 2]] / np.linalg.norm(direction[:, [0, 2]], axis=1, keepdims=True)
        middle = np.array([0.01, -0.015]) * size
        places = np.column_stack(
            [middle[0] + radius * around[:, 0], 0.42 * size * along, middle[1] + radius * around[:, 1]]
        )
    else:
        half = 0.06 * size
        carrier = Box((0.0, 0.0, 0.0), (half, 3 * size, 3 * size))
        surface = half * np.where(np.arange(count) % 2, 1.0, -1.0)
        places = np.column_stack([surface, 0.42 * size * along, 0.42 * size * across])
    radii = size * rng.uniform(0.008, 0.018, count)
    grains = tuple(
        Ellipsoid((z, y, x), (radius,) * 3, 6.0) for (z, y, x), radius in zip(places, radii, strict=True)
    )
    return carrier, grains
