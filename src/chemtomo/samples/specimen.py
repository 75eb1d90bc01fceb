"""A needle of an aluminium alloy with precipitates of silicon and ytterbium.

The chemistry is that of the phantom in Huber et al. 2019; the shapes are our own. Lengths are in
units of half the detector's width, from the tilt axis.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.data import Volume
from chemtomo.errors import ParameterError

__all__ = ["CHANNELS", "HAADF_GAIN", "phantom_volume", "require_large_enough"]

CHANNELS = ("HAADF", "Yb", "Si", "Al")
"""Names of the simulated signals."""

HAADF_GAIN = 0.37
"""Value of one detected electron in the HAADF signal."""

_Array = npt.NDArray[np.float64]

_RADIUS = 0.78
_FIELD_NM = 192.0
_SMALLEST = (4, 16)
# Signal of the projection through the middle of the needle, were it of the pure element: counts of
# the elements, and detected electrons of the HAADF signal, which grows with the atomic number.
_COUNTS = {"Yb": 24.0, "Si": 16.0, "Al": 30.0}
_ELECTRONS = {"Yb": 100_000.0, "Si": 22_000.0, "Al": 20_000.0}


@dataclasses.dataclass(frozen=True)
class _Precipitate:
    """An ellipsoid: centre and half axes ``(z, y, x)``, turned about the tilt axis.

    ``yb`` and ``si`` are atomic fractions. With ``gradual`` they are those at the centre and fall
    to the fractions of the matrix at the surface; otherwise they are the same everywhere inside.
    """

    centre: tuple[float, float, float]
    half_axes: tuple[float, float, float]
    turn_deg: float
    yb: float
    si: float
    gradual: bool = False


# Large and small, sharp and gradual, of silicon alone and of both elements with common edges.
_PRECIPITATES = (
    _Precipitate((0.26, 0.05, 0.36), (0.15, 0.50, 0.25), 30, 0.00, 0.85),
    _Precipitate((-0.36, -0.10, 0.24), (0.09, 0.22, 0.20), -35, 0.40, 0.45),
    _Precipitate((-0.05, 0.02, -0.45), (0.23, 0.16, 0.08), 10, 0.35, 0.30),
    _Precipitate((-0.50, 0.16, -0.12), (0.10, 0.12, 0.10), 0, 0.55, 0.40, True),
    _Precipitate((0.48, -0.20, -0.22), (0.13, 0.20, 0.13), 0, 0.00, 0.90, True),
    _Precipitate((0.10, -0.22, 0.02), (0.07, 0.09, 0.07), 0, 0.45, 0.45),
    _Precipitate((0.14, 0.30, -0.10), (0.06, 0.06, 0.06), 0, 0.50, 0.20),
    _Precipitate((-0.16, 0.24, 0.06), (0.05, 0.12, 0.05), 0, 0.45, 0.45),
    _Precipitate((-0.22, -0.34, -0.34), (0.06, 0.06, 0.06), 0, 0.50, 0.30),
    _Precipitate((0.53, 0.26, 0.06), (0.05, 0.05, 0.08), 40, 0.40, 0.45),
    _Precipitate((-0.58, -0.28, 0.14), (0.04, 0.05, 0.06), 20, 0.55, 0.30),
    _Precipitate((0.32, -0.34, 0.40), (0.05, 0.05, 0.05), 0, 0.55, 0.35),
    _Precipitate((0.36, 0.40, -0.38), (0.07, 0.07, 0.05), 0, 0.45, 0.40),
    _Precipitate((-0.34, 0.42, -0.36), (0.06, 0.05, 0.09), 25, 0.00, 0.85),
)


def phantom_volume(shape: tuple[int, int] = (32, 96)) -> Volume:
    """Make the specimen: the truth behind `phantom`.

    A needle along the tilt axis, slowly thinner and turned from slice to slice: a matrix of
    aluminium, in which some silicon is dissolved unevenly, and precipitates of silicon and of
    silicon and ytterbium, some with sharp edges and some gradual. It stays away from the edges of
    the detector by a tenth of its width.

    Parameters
    ----------
    shape : (int, int)
        Slices ``y`` and detector pixels ``x`` of a projection.

    Returns
    -------
    Volume
        Shape ``(channel, x, y, x)``, channels `CHANNELS`. A voxel holds what it adds, at each tilt, to
        the expected signal in a detector pixel: counts, or for HAADF the intensity.

    Raises
    ------
    ParameterError
        When there are fewer than 4 slices or 16 detector pixels.
    """
    require_large_enough(shape)
    slices, pixels = shape
    step = 2 / pixels
    x = (np.arange(pixels) - (pixels - 1) / 2) * step
    z = x[:, np.newaxis, np.newaxis]
    # Whatever their number, the slices show the same length of the needle.
    y = np.linspace(-0.5, 0.5, slices)[:, np.newaxis]
    turn = np.deg2rad(40) * y
    zt = z * np.cos(turn) - x * np.sin(turn)
    xt = z * np.sin(turn) + x * np.cos(turn)

    radius = _RADIUS * (0.93 - 0.14 * y - 0.05 * np.cos(2 * np.arctan2(zt, xt)) ** 2)
    inside = _coverage(radius - np.hypot(zt, xt), step)
    fractions = _fractions(zt, y, xt, step)
    weight = inside / (2 * _RADIUS / step)
    channels = {name: weight * fractions[name] * counts for name, counts in _COUNTS.items()}
    channels["HAADF"] = weight * sum(fractions[name] * n * HAADF_GAIN for name, n in _ELECTRONS.items())
    return Volume(
        data=np.stack([channels[name] for name in CHANNELS]).astype(np.float32),
        names=CHANNELS,
        voxel_size_nm=_FIELD_NM / pixels,
        provenance={"simulated": "phantom", "shape": [slices, pixels]},
    )


def require_large_enough(shape: tuple[int, int]) -> None:
    """Raise `ParameterError` when a projection is too small to show the specimen."""
    slices, pixels = shape
    if slices < _SMALLEST[0] or pixels < _SMALLEST[1]:
        raise ParameterError(
            f"phantom: found the projection shape {slices} x {pixels}; "
            f"expected at least {_SMALLEST[0]} slices and {_SMALLEST[1]} detector pixels"
        )


def _fractions(z: _Array, y: _Array, x: _Array, step: float) -> dict[str, _Array]:
    """Atomic fractions of the elements; they add up to 1 everywhere."""
    yb = np.zeros(np.broadcast_shapes(z.shape, y.shape, x.shape))
    # Silicon dissolved in the matrix: none on one side, up to a quarter on the other.
    dissolved = 0.25 * np.exp(-((z + 0.15) ** 2 + (x + 0.55) ** 2) / 0.18)
    si = dissolved + yb
    for one in _PRECIPITATES:
        distance, edge = _ellipsoid(one, z, y, x)
        share = np.clip(distance, 0, 1) if one.gradual else _coverage(distance * edge, step)
        yb += share * (one.yb - yb)
        si += share * (one.si - si)
    return {"Yb": yb, "Si": si, "Al": 1 - yb - si}


def _ellipsoid(one: _Precipitate, z: _Array, y: _Array, x: _Array) -> tuple[_Array, float]:
    """Return 1 at the centre, falling to 0 at the surface and on, and the smallest half axis."""
    turn = np.deg2rad(one.turn_deg)
    dz, dy, dx = z - one.centre[0], y - one.centre[1], x - one.centre[2]
    along_z = (dz * np.cos(turn) - dx * np.sin(turn)) / one.half_axes[0]
    along_x = (dz * np.sin(turn) + dx * np.cos(turn)) / one.half_axes[2]
    along_y = dy / one.half_axes[1]
    return 1 - np.sqrt(along_z**2 + along_y**2 + along_x**2), min(one.half_axes)


def _coverage(distance: _Array, step: float) -> _Array:
    """Fraction of a voxel that is inside, from the distance of its centre to the surface."""
    return np.clip(0.5 + distance / step, 0, 1)
