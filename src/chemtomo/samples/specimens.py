"""Tilt series of common specimens: films, lamellae, pillars, and grains that extend beyond the field."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from chemtomo.data import Alignment, Dataset, TiltSeries, Volume
from chemtomo.errors import ParameterError
from chemtomo.samples.bodies import Body, Box, Ellipsoid, project, voxels
from chemtomo.samples.particles import Misalignment, Simulated, misaligned
from chemtomo.samples.shapes import Cloud, Cone

__all__ = ["SPECIMENS", "Specimen", "SpecimenName", "specimen", "specimen_series", "specimen_volume"]

SpecimenName = Literal["film", "lamella", "pillar", "grains"]
SPECIMENS: tuple[str, ...] = get_args(SpecimenName)

_BRIGHTNESS = 1000.0
_REACH = (0.85, 2.0)  # how far from the middle matter goes along y and x, in fields of view
_MARKS = 0.42  # positions whose error is measured are this near the middle


@dataclasses.dataclass(frozen=True, eq=False)
class Specimen:
    """What is projected: named parts, each of bodies and a cloud, in pixels from the middle.

    Attributes
    ----------
    parts : dict
        Bodies and texture of each part by its name.
    positions : numpy.ndarray, shape (position, 3)
        Features within the field, ``(z, y, x)``.
    """

    parts: dict[str, tuple[tuple[Body, ...], Cloud | None]]
    positions: npt.NDArray[np.float64]


def specimen(
    name: str,
    *,
    shape: tuple[int, int] = (192, 192),
    seed: int = 0,
    thickness_px: float | None = None,
    ends_inside: bool = False,
) -> Specimen:
    """Make a specimen; lengths scale with the smaller edge of the field.

    Parameters
    ----------
    name : {"film", "lamella", "pillar", "grains"}
        A thin textured film with particles on both sides; a lamella with precipitates throughout; a pillar
        that widens towards one end, with precipitates; a layer of grains, many of which cross the edges of
        the field. Film and lamella are wider than the field at every tilt.
    shape : (int, int)
        Rows and columns of a projection.
    seed : int
        Seed of the specimen.
    thickness_px : float, optional
        Thickness of film or lamella; 6 and 60 pixels in 192 by default.
    ends_inside : bool
        Leave out what is not within the field at every tilt up to 75 degrees: for grains.

    Raises
    ------
    ParameterError
        When the name is not known, the shape too small or the thickness not positive.
    """
    if name not in SPECIMENS:
        raise ParameterError(f"specimen: found {name!r}; expected one of {', '.join(SPECIMENS)}")
    if min(shape) < 32:
        raise ParameterError(f"specimen: found the shape {shape}; expected at least 32 x 32 pixels")
    if thickness_px is not None and not thickness_px > 0:
        raise ParameterError(f"specimen: found a thickness of {thickness_px} px; expected a positive one")
    rng = np.random.default_rng([seed, SPECIMENS.index(name)])
    size = float(min(shape))
    half = tuple(reach * edge for reach, edge in zip(_REACH, shape, strict=True))
    if name == "film":
        thick = size / 32 if thickness_px is None else thickness_px
        return _film(rng, size, (half[0], half[1]), thick)
    if name == "lamella":
        thick = size * 60 / 192 if thickness_px is None else thickness_px
        return _lamella(rng, size, (half[0], half[1]), thick)
    if name == "pillar":
        return _pillar(rng, size)
    return _grains(rng, size, (half[0], half[1]), shape, ends_inside)


def specimen_series(
    name: str,
    *,
    shape: tuple[int, int] = (192, 192),
    tilts_deg: npt.ArrayLike | None = None,
    misalignment: Misalignment | None = None,
    dose: float | None = None,
    read_noise: float = 0.0,
    counts: float | None = None,
    thickness_px: float | None = None,
    ends_inside: bool = False,
    seed: int = 0,
) -> Simulated:
    """Simulate a tilt series of a specimen, recorded out of alignment.

    Line integrals are evaluated in closed form at points of the misaligned detector: no image is
    interpolated.

    Parameters
    ----------
    name, shape, thickness_px, ends_inside
        See `specimen`.
    tilts_deg : array_like, optional
        Tilts in degrees; 57 from -70 to 70 by default.
    misalignment : Misalignment, optional
        Shifts of up to 6 pixels and an axis at 2 degrees and 5 pixels from the middle by default.
    dose : float, optional
        Counts in the brightest pixel, with Poisson noise; without it there is none.
    read_noise : float
        Standard deviation of the detector's noise, as a fraction of the brightest pixel.
    counts : float, optional
        Expected counts per pixel in the sum of the element maps, one map per part of the specimen, on average
        over the series. Without it there are no maps.
    seed : int
        Seed of specimen, shifts and noise.

    Raises
    ------
    ParameterError
        When the name is not known, the shape too small or a number negative.
    """
    if min(read_noise, dose or 0, counts or 0) < 0:
        raise ParameterError("specimen: found a negative noise, dose or counts; expected none")
    made = specimen(name, shape=shape, seed=seed, thickness_px=thickness_px, ends_inside=ends_inside)
    rng = np.random.default_rng([seed, 1000])
    tilts = np.linspace(-70.0, 70.0, 57) if tilts_deg is None else np.asarray(tilts_deg, dtype=np.float64)
    wrong = Misalignment(6.0, 0.0, 2.0, 5.0) if misalignment is None else misalignment
    truth = misaligned(tilts, shape, wrong, rng)
    parts = {one: _projected(part, truth, shape) for one, part in made.parts.items()}
    expected = sum(parts.values(), np.zeros((tilts.size, *shape)))
    expected *= _BRIGHTNESS / expected.max()
    recorded = rng.poisson(expected * dose / _BRIGHTNESS) * (_BRIGHTNESS / dose) if dose else expected
    if read_noise:
        recorded = recorded + rng.normal(0, read_noise * _BRIGHTNESS, recorded.shape)
    source = f"simulated {name}, seed {seed}"
    series = TiltSeries("HAADF", recorded.astype(np.float32), tilts, source=source)
    maps = None
    if counts is not None:
        factor = counts / max(float(sum(part.mean() for part in parts.values())), 1e-30)
        maps = Dataset(
            tuple(
                TiltSeries(
                    one, rng.poisson(factor * part).astype(np.uint16), tilts, kind="counts", source=source
                )
                for one, part in parts.items()
            )
        )
    return Simulated(series, maps, truth, made.positions)


def specimen_volume(
    name: str,
    *,
    shape: tuple[int, int] = (192, 192),
    seed: int = 0,
    thickness_px: float | None = None,
    ends_inside: bool = False,
) -> Volume:
    """Return the specimen within the field in voxels: the truth behind `specimen_series`.

    One channel per part, shape ``(channel, x, y, x)``. Multiplied by one factor, the sum of the channels is
    what the simulated HAADF series was projected from.
    """
    made = specimen(name, shape=shape, seed=seed, thickness_px=thickness_px, ends_inside=ends_inside)
    rows, edge = shape
    channels = []
    for bodies, cloud in made.parts.values():
        part = voxels(bodies, edge, rows)
        channels.append(part if cloud is None else part + cloud.density(edge, rows))
    return Volume(
        data=np.stack(channels).astype(np.float32),
        names=tuple(made.parts),
        voxel_size_nm=1.0,
        provenance={"simulated": name, "shape": list(shape), "seed": seed},
    )


def _projected(
    part: tuple[tuple[Body, ...], Cloud | None], truth: Alignment, shape: tuple[int, int]
) -> npt.NDArray[np.float64]:
    bodies, cloud = part
    image = project(bodies, truth.tilts_deg, truth.matrices, shape)
    return image if cloud is None else image + cloud.project(truth.tilts_deg, truth.matrices, shape)


def _film(rng: np.random.Generator, size: float, half: tuple[float, float], thick: float) -> Specimen:
    base = Box((0.0, 0.0, 0.0), (thick / 2, 3 * half[0], 3 * half[1]), 1.0)
    number = round(4 * half[0] * half[1] / (0.04 * size) ** 2)
    texture = _texture(rng, number, (thick / 2, *half), (0.008 * size, 0.025 * size), 0.35 * thick)
    radii = size * rng.uniform(0.010, 0.026, 360)
    side = np.where(rng.random(radii.size) < 0.5, 1.0, -1.0)
    places = np.column_stack(
        [side * (thick / 2 + radii), _even(rng, half[0], radii.size), _even(rng, half[1], radii.size)]
    )
    grains = _ellipsoids(places, radii[:, np.newaxis] * np.ones(3), rng.uniform(1.5, 4.0, radii.size))
    return Specimen({"film": ((base,), texture), "particles": (grains, None)}, _marks(places, size))


def _lamella(rng: np.random.Generator, size: float, half: tuple[float, float], thick: float) -> Specimen:
    base = Box((0.0, 0.0, 0.0), (thick / 2, 3 * half[0], 3 * half[1]), 1.0)
    number = round(4 * half[0] * half[1] / (0.05 * size) ** 2)
    texture = _texture(rng, number, (thick / 2, *half), (0.010 * size, 0.03 * size), 0.2 * thick)
    count = 420
    axes = size * rng.uniform(0.012, 0.045, count)[:, np.newaxis] * rng.uniform(0.6, 1.4, (count, 3))
    axes[:, 0] = np.minimum(axes[:, 0], 0.45 * thick)
    z = rng.uniform(-1, 1, count) * (thick / 2 - axes[:, 0])
    places = np.column_stack([z, _even(rng, half[0], count), _even(rng, half[1], count)])
    precipitates = _ellipsoids(places, axes, rng.uniform(0.6, 2.5, count))
    return Specimen(
        {"matrix": ((base,), texture), "precipitates": (precipitates, None)}, _marks(places, size)
    )


def _pillar(rng: np.random.Generator, size: float) -> Specimen:
    middle = np.array([0.012, 0.0, -0.018]) * size
    cone = Cone((middle[0], 0.0, middle[2]), 4 * size, 0.15 * size, 0.10, 1.0)
    # Limited, because far outside the field the taper would give a negative or a huge radius.
    cone = dataclasses.replace(cone, half_length=0.85 * size)
    count = 90
    y = 0.75 * size * rng.uniform(-1, 1, count)
    axes = size * rng.uniform(0.008, 0.03, count)[:, np.newaxis] * rng.uniform(0.7, 1.3, (count, 3))
    most = np.maximum(0.15 * size + 0.10 * y - axes.max(axis=1), 0)
    radius, around = most * np.sqrt(rng.random(count)), rng.uniform(0, 2 * np.pi, count)
    places = np.column_stack([middle[0] + radius * np.cos(around), y, middle[2] + radius * np.sin(around)])
    precipitates = _ellipsoids(places, axes, rng.uniform(0.8, 3.0, count))
    return Specimen({"matrix": ((cone,), None), "precipitates": (precipitates, None)}, _marks(places, size))


def _grains(
    rng: np.random.Generator,
    size: float,
    half: tuple[float, float],
    shape: tuple[int, int],
    ends_inside: bool,
) -> Specimen:
    count = 520
    axes = size * rng.uniform(0.03, 0.11, count)[:, np.newaxis] * rng.uniform(0.6, 1.3, (count, 3))
    axes[:, 0] *= 0.7
    places = np.column_stack(
        [0.07 * size * rng.uniform(-1, 1, count), _even(rng, half[0], count), _even(rng, half[1], count)]
    )
    densities = rng.uniform(0.5, 2.0, count)
    kind = rng.integers(0, 3, count)
    if ends_inside:
        inner = (np.abs(places[:, 1]) + axes[:, 1] < 0.44 * shape[0]) & (
            np.hypot(places[:, 0], places[:, 2]) + axes.max(axis=1) < 0.44 * shape[1]
        )
        places, axes, densities, kind = (one[inner] for one in (places, axes, densities, kind))
    bodies = _ellipsoids(places, axes, densities)
    parts: dict[str, tuple[tuple[Body, ...], Cloud | None]] = {
        part: (tuple(body for body, one in zip(bodies, kind, strict=True) if one == number), None)
        for number, part in enumerate(("Si", "Fe", "Mg"))
    }
    return Specimen(parts, _marks(places, size))


def _texture(
    rng: np.random.Generator,
    number: int,
    half: tuple[float, float, float],
    widths_px: tuple[float, float],
    strength: float,
) -> Cloud:
    """Make diffuse spots throughout a slab; `strength` is the peak of the strongest ones in a projection."""
    centres = np.column_stack([_even(rng, one, number) for one in half])
    widths = rng.uniform(*widths_px, number)
    return Cloud(centres, widths, strength * rng.uniform(0.2, 1.0, number) * 2 * np.pi * widths**2)


def _even(rng: np.random.Generator, half: float, count: int) -> npt.NDArray[np.float64]:
    return rng.uniform(-half, half, count)


def _ellipsoids(
    places: npt.NDArray[np.float64], axes: npt.NDArray[np.float64], densities: npt.NDArray[np.float64]
) -> tuple[Ellipsoid, ...]:
    return tuple(
        Ellipsoid((z, y, x), (a, b, c), float(density))
        for (z, y, x), (a, b, c), density in zip(places, axes, densities, strict=True)
    )


def _marks(places: npt.NDArray[np.float64], size: float) -> npt.NDArray[np.float64]:
    near: npt.NDArray[np.float64] = places[(np.abs(places[:, 1:]) < _MARKS * size).all(axis=1)]
    return near
