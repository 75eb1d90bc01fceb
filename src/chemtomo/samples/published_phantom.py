"""The phantom of Huber et al. 2019: a round section of an aluminium alloy with precipitates.

The physics are equations 3 to 7 of the paper with its constants. The shapes are not in its text: they were
measured by hand on the HAADF signal of the published tilt series, slice by slice turned back by 0.1 degrees
and averaged. They are given in pixels of 0.67 nm from the tilt axis, ``z`` up and ``x`` to the right.

Source: R. Huber, G. Haberfehlner, M. Holler, G. Kothleitner, K. Bredies, Nanoscale 11, 5617 (2019),
"Numerical simulations".
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.errors import ParameterError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector

__all__ = ["huber2019", "huber2019_volume"]

_Array = npt.NDArray[np.float64]

_CHANNELS = ("HAADF", "Yb", "Al", "Si")
_EDGE = 305
_DETECTOR = 433  # of the published series: the diagonal of the image
_PIXEL_NM = 0.67
_TURN_DEG = -0.1  # from slice to slice, from x towards z
_TILTS_DEG: _Array = -5.0 * np.arange(36, dtype=np.float64)

_DISC = (4.3, -1.2, 141.2)  # x, z and radius of the section

# The constants of the paper.
_ELECTRONS = 2e-9 * 2e-3 / 1.602e-19  # 2 nA for 2 ms; equation 4, read as current times time
_DENSITY = {"Yb": 6.9e3, "Al": 2.7e3, "Si": 2.3e3}  # kg / m^3
_ZETA = {"Yb": 240 / 4, "Al": 500 / 4, "Si": 500 / 4}  # kg / m^2
_HAADF_RAD = (94.9e-3, 188e-3)
_HAADF_EFFICIENCY = 0.7
_ATOMIC_MASS = {"Yb": 173.05, "Al": 26.98, "Si": 28.09}  # g / mol
_ATOMIC_NUMBER = {"Yb": 70, "Al": 13, "Si": 14}
_AVOGADRO = 6.022e23

_PUBLISHED = {"HAADF": 0.40, "Yb": 1 / 64, "Al": 1 / 4, "Si": 1 / 16}
"""Signal of the published series over that of the equations.

Measured by the sums of the series: 0.400, 1 / 65.5, 1 / 3.99 and 1 / 16.8. The powers of four suggest that
one division by the number of detectors was repeated; the paper does not say so.
"""


@dataclasses.dataclass(frozen=True)
class _Ellipse:
    """Middle ``x, z``, half axes and turn of the first axis from ``x`` towards ``z``, in degrees."""

    x: float
    z: float
    a: float
    b: float
    turn_deg: float = 0.0

    def radius(self, x: _Array, z: _Array) -> _Array:
        """0 in the middle, 1 on the edge."""
        turn = np.deg2rad(self.turn_deg)
        along = (x - self.x) * np.cos(turn) + (z - self.z) * np.sin(turn)
        across = (z - self.z) * np.cos(turn) - (x - self.x) * np.sin(turn)
        distance: _Array = np.hypot(along / self.a, across / self.b)
        return distance


_Corners = tuple[tuple[float, float], ...]

_SILICON = (0.0, 1.0)
_MIDDLE = (0.12, 0.42)
_SHARP = (0.12, 0.0)
_MIXED = (0.11, 0.42)

# Precipitates of silicon; ytterbium and aluminium rise in a second ellipse from its edge to its middle.
_GRADUAL: tuple[tuple[_Ellipse, _Ellipse], ...] = (
    (_Ellipse(76.7, -28.3, 51.3, 28.5, -24), _Ellipse(76.3, -28.3, 48.5, 27.0, -31)),
    (_Ellipse(-10.0, 2.7, 20.8, 27.0, -8), _Ellipse(-10.7, 3.0, 18.5, 25.3, -8)),
    (_Ellipse(24.0, 59.3, 17.0, 15.7), _Ellipse(23.3, 59.3, 15.0, 13.3)),
    (_Ellipse(67.3, 34.0, 11.5, 16.7), _Ellipse(67.3, 34.0, 10.0, 14.3)),
    (_Ellipse(94.7, 27.3, 9.5, 9.5), _Ellipse(94.7, 27.3, 8.0, 8.3)),
    (_Ellipse(114.7, 14.0, 7.3, 6.0, 25), _Ellipse(114.7, 14.0, 6.8, 4.8, 25)),
    (_Ellipse(125.7, 0.7, 4.7, 4.3), _Ellipse(125.7, 0.7, 4.0, 3.3, 35)),
    (_Ellipse(132.7, 10.3, 3.0, 3.0), _Ellipse(132.7, 10.3, 2.3, 1.8, -35)),
)
# With sharp edges: of aluminium and ytterbium, or with silicon too.
_ELLIPSES: tuple[tuple[_Ellipse, tuple[float, float]], ...] = (
    (_Ellipse(29.0, 110.7, 12.2, 9.3, 10), _SHARP),
    (_Ellipse(-42.3, 32.7, 11.3, 3.7, 52), _SHARP),
    (_Ellipse(95.3, 65.7, 6.2, 5.3), _SHARP),
    (_Ellipse(69.7, 81.3, 3.5, 3.5), _SHARP),
    (_Ellipse(85.3, 88.3, 2.3, 2.3), _SHARP),
    (_Ellipse(58.7, 92.0, 1.7, 1.7), _SHARP),
    (_Ellipse(70.3, 96.7, 1.2, 1.2), _SHARP),
    (_Ellipse(76.0, 90.3, 0.9, 0.9), _SHARP),
    (_Ellipse(-7.0, -61.3, 13.0, 7.0), _MIXED),
    (_Ellipse(49.0, -68.7, 4.5, 2.7, 40), _MIXED),
    (_Ellipse(58.0, -91.7, 7.3, 4.7, -28), _MIXED),
    (_Ellipse(-3.3, -110.3, 3.7, 6.5), _MIXED),
    (_Ellipse(-20.0, -102.0, 2.0, 3.0), _MIXED),
)
# Ytterbium grows along the corners' polygon from its first value to its second, downwards.
_GRADED: tuple[tuple[_Corners, tuple[float, float]], ...] = (
    (((26.7, -66.0), (44.0, -101.3), (25.3, -129.0), (8.3, -95.0)), (0.05, 0.125)),
    (((-4.3, -86.7), (9.0, -93.3), (-3.3, -104.0), (-19.3, -100.0)), (0.08, 0.11)),
)
_LENS = _Ellipse(-42.0, -66.7, 11.0, 43.5, -5)
_LENS_YB = (0.03, 0.13)
# Silicon dissolved in aluminium: middle, width and highest fraction.
_DISSOLVED = (
    (-112.0, 6.0, 30.0, 0.45),
    (-33.0, 84.0, 19.0, 0.42),
    (-79.0, 76.0, 10.0, 0.30),
    (21.0, -17.0, 17.0, 0.32),
    (45.0, 57.0, 11.0, 0.25),
    (-92.0, -62.0, 6.0, 0.25),
)


def huber2019_volume(slices: int = 60, *, finer: int = 3) -> Volume:
    """Make the phantom of Huber et al. 2019: the truth behind `huber2019`.

    Parameters
    ----------
    slices : int
        Number of slices, each turned by 0.1 degrees against the one before.
    finer : int
        Points per voxel and axis that are averaged. The paper draws 2048 x 2048 pixels and interpolates.

    Returns
    -------
    Volume
        Shape ``(4, 305, slices, 305)``, channels HAADF, Yb, Al and Si, voxels of 0.67 nm. A voxel holds what
        it adds to the expected signal of a detector pixel.

    Raises
    ------
    ParameterError
        When a number is not positive.
    """
    if slices < 1 or finer < 1:
        raise ParameterError(f"phantom: found {slices} slices and {finer} points; expected at least 1 each")
    data = np.empty((4, _EDGE, slices, _EDGE), np.float32)
    places = (np.arange(_EDGE * finer) + 0.5) / finer - _EDGE / 2
    for one in range(slices):
        turn = np.deg2rad(_TURN_DEG * one)
        z, x = places[:, np.newaxis], places
        signal = _signal(x * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - x * np.sin(turn), finer)
        data[:, :, one] = signal.reshape(4, _EDGE, finer, _EDGE, finer).mean(axis=(2, 4))
    return Volume(data, _CHANNELS, _PIXEL_NM, provenance={"simulated": "huber2019", "slices": slices})


def huber2019(slices: int = 60, *, seed: int = 0, noise: bool = True) -> Dataset:
    """Simulate the tilt series of the phantom of Huber et al. 2019.

    Parameters
    ----------
    slices : int
        Number of slices.
    seed : int
        Seed of the Poisson noise.
    noise : bool
        Without it the expected signals.

    Returns
    -------
    Dataset
        HAADF, Yb, Al and Si: 36 tilts from 0 to -175 degrees, 433 detector pixels of 0.67 nm. Sums of each
        signal are within a few per cent of the published series.

    Raises
    ------
    ParameterError
        When there is no slice.
    """
    truth = huber2019_volume(slices)
    projector = Projector(ParallelBeam(_TILTS_DEG, _DETECTOR, (_EDGE, _EDGE)), len(_CHANNELS), slices)
    expected = np.maximum(projector.forward(truth.data), 0)
    rng = np.random.default_rng(seed)
    series = []
    for name, signal in zip(_CHANNELS, expected, strict=True):
        recorded = rng.poisson(signal) if noise else signal
        series.append(
            TiltSeries(
                name,
                recorded.astype(np.float32),
                _TILTS_DEG,
                pixel_size_nm=_PIXEL_NM,
                kind="intensity" if name == "HAADF" else "counts",
                source=f"simulated phantom of Huber et al. 2019, seed {seed}",
            )
        )
    return Dataset(tuple(series))


def _signal(x: _Array, z: _Array, finer: int) -> _Array:
    """Signal of a voxel at places of the section, HAADF, Yb, Al and Si first."""
    fraction = _fractions(x, z)
    inside = np.hypot(x - _DISC[0], z - _DISC[1]) <= _DISC[2]
    density = sum(fraction[one] * _DENSITY[one] for one in _DENSITY) * inside
    mass = sum(fraction[one] * _ATOMIC_MASS[one] for one in _ATOMIC_MASS)
    thickness = _PIXEL_NM * 1e-9
    exponent = np.zeros_like(density)
    signals = {}
    for one in _DENSITY:
        mass_fraction = fraction[one] * _ATOMIC_MASS[one] / mass
        signals[one] = density * thickness * mass_fraction * _ELECTRONS / _ZETA[one]  # equation 3
        atoms = _AVOGADRO / (_ATOMIC_MASS[one] * 1e-3) * fraction[one] * density
        exponent += atoms * thickness * _cross_section(one)  # equation 6
    signals["HAADF"] = _HAADF_EFFICIENCY * _ELECTRONS * -np.expm1(-exponent)  # equation 7
    return np.stack([_PUBLISHED[name] * signals[name] for name in _CHANNELS])


def _cross_section(element: str) -> float:
    """Cross section in m^2 for scattering onto the HAADF detector, of a screened nucleus at 300 kV.

    The paper integrates the tables of the NIST (equation 5). Here it is the cross section of Wentzel, whose
    integral has a closed form; it differs by some ten per cent, which `_PUBLISHED` takes up.
    """
    gamma, wavelength, bohr = 1.5871, 1.9687e-12, 5.2918e-11
    number = _ATOMIC_NUMBER[element]
    screening = wavelength * number ** (1 / 3) / (2 * np.pi * 0.885 * bohr)
    inner, outer = ((screening**2 + (2 * np.sin(angle / 2)) ** 2) for angle in _HAADF_RAD)
    scale = 2 * number * gamma / bohr * (wavelength / (2 * np.pi)) ** 2
    return float(np.pi * scale**2 * (1 / inner - 1 / outer))


def _fractions(x: _Array, z: _Array) -> dict[str, _Array]:
    """Atomic fractions at places of the section; they sum to 1."""
    silicon = np.zeros(np.broadcast_shapes(x.shape, z.shape))
    for x0, z0, width, highest in _DISSOLVED:
        silicon = np.maximum(silicon, highest * np.exp(-((x - x0) ** 2 + (z - z0) ** 2) / (2 * width**2)))
    ytterbium = np.zeros_like(silicon)

    def fill(where: npt.NDArray[np.bool_], yb: _Array | float, si: _Array | float) -> None:
        nonlocal ytterbium, silicon
        ytterbium, silicon = np.where(where, yb, ytterbium), np.where(where, si, silicon)

    for whole, core in _GRADUAL:
        fill(whole.radius(x, z) < 1, *_SILICON)
        radius = core.radius(x, z)
        share = 0.25 + 0.75 * (1 - np.minimum(radius, 1) ** 2)
        fill(radius < 1, share * _MIDDLE[0], 1 - share * (1 - _MIDDLE[1]))
    for ellipse, (yb, si) in _ELLIPSES:
        fill(ellipse.radius(x, z) < 1, yb, si)
    for corners, (first, last) in _GRADED:
        top, bottom = max(z0 for _, z0 in corners), min(z0 for _, z0 in corners)
        fill(_inside(corners, x, z), first + (last - first) * (top - z) / (top - bottom), _MIXED[1])
    down = np.clip(0.5 - (z - _LENS.z) / (2 * _LENS.b), 0, 1)
    fill(_LENS.radius(x, z) < 1, _LENS_YB[0] + (_LENS_YB[1] - _LENS_YB[0]) * down, _MIXED[1])
    return {"Yb": ytterbium, "Si": silicon, "Al": 1 - ytterbium - silicon}


def _inside(corners: _Corners, x: _Array, z: _Array) -> npt.NDArray[np.bool_]:
    """Whether places are in a convex polygon, its corners clockwise."""
    inside = np.ones(np.broadcast_shapes(x.shape, z.shape), bool)
    for (x0, z0), (x1, z1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        inside &= (x1 - x0) * (z - z0) - (z1 - z0) * (x - x0) <= 0
    return inside
