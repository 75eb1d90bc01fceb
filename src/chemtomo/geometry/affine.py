"""Affine maps of projections: arrays of 2 x 3 matrices, which act on ``(y, x, 1)``.

Every function takes and returns arrays of shape (n, 2, 3), one matrix per projection; a single matrix (1, 2,
3) is combined with any number of others. In an alignment a matrix is a *pull-back*: it takes a pixel of the
aligned image to the place in the recorded image from which its value comes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "angles_deg",
    "apply",
    "centre",
    "compose",
    "identity",
    "inverse",
    "is_translation",
    "rescale",
    "rotation",
    "tilt_axis",
    "translation",
]

Matrices = npt.NDArray[np.float64]

_EXACT = 1e-9


def identity(count: int = 1) -> Matrices:
    """Return `count` maps that leave every point where it is, shape (count, 2, 3)."""
    return np.tile(np.eye(2, 3), (count, 1, 1))


def translation(dy: npt.ArrayLike, dx: npt.ArrayLike) -> Matrices:
    """Return the maps ``(y, x) -> (y + dy, x + dx)``, one for each pair of numbers.

    As a pull-back it takes what is at ``(dy, dx)`` in the recorded image to the origin of the aligned one.
    """
    down, right = np.broadcast_arrays(
        np.atleast_1d(np.asarray(dy, dtype=np.float64)), np.atleast_1d(np.asarray(dx, dtype=np.float64))
    )
    matrices = identity(down.size)
    matrices[:, 0, 2], matrices[:, 1, 2] = down, right
    return matrices


def rotation(angle_deg: npt.ArrayLike, about: tuple[float, float] = (0.0, 0.0)) -> Matrices:
    """Return the turns about the point `about` (y, x), from ``y`` towards ``x``, one for each angle.

    The direction ``(1, 0)``, along ``y``, becomes ``(cos a, sin a)``. Exact at multiples of 90 degrees.
    """
    angles = np.atleast_1d(np.asarray(angle_deg, dtype=np.float64))
    quarters = np.round(angles / 90)
    rest = np.deg2rad(angles - 90 * quarters)
    turn = (quarters % 4).astype(int)
    cosine = np.choose(turn, [np.cos(rest), -np.sin(rest), -np.cos(rest), np.sin(rest)]) + 0.0
    sine = np.choose(turn, [np.sin(rest), np.cos(rest), -np.sin(rest), -np.cos(rest)]) + 0.0
    linear = np.stack([np.stack([cosine, -sine], axis=-1), np.stack([sine, cosine], axis=-1)], axis=-2)
    point = np.asarray(about, dtype=np.float64)
    return np.concatenate([linear, (point - linear @ point)[:, :, np.newaxis]], axis=2)


def centre(shape: tuple[int, int]) -> tuple[float, float]:
    """Return the centre ``(y, x)`` of an image of `shape`: pixel centres are integers."""
    return (shape[0] - 1) / 2, (shape[1] - 1) / 2


def tilt_axis(angle_deg: float, offset_px: float, shape: tuple[int, int]) -> Matrices:
    """Return the map that takes the middle column of an image to the tilt axis, shape (1, 2, 3).

    Turn by the angle about the centre, then shift along ``x``: the axis has the direction
    ``(cos a, sin a)`` and crosses the middle row at ``(width - 1) / 2 + offset``.

    Parameters
    ----------
    angle_deg : float
        Angle of the tilt axis with ``y``, towards ``x``.
    offset_px : float
        How far the axis is from the middle of the middle row, along ``x``.
    shape : (int, int)
        Rows and columns of a projection.
    """
    return compose(translation(0.0, offset_px), rotation(angle_deg, centre(shape)))


def compose(outer: Matrices, inner: Matrices) -> Matrices:
    """Return the maps ``p -> outer(inner(p))``: the matrix product, `inner` acts first on a point.

    Images go the other way round: as pull-backs, warping with `outer` and warping the result with `inner`
    is one warp with ``compose(outer, inner)``. The first warp of the data is the first argument.
    """
    linear = outer[:, :, :2] @ inner[:, :, :2]
    shift = (outer[:, :, :2] @ inner[:, :, 2:]) + outer[:, :, 2:]
    return np.concatenate([linear, shift], axis=2)


def inverse(matrices: Matrices) -> Matrices:
    """Return the maps that undo `matrices`; `numpy.linalg.LinAlgError` when one is singular."""
    linear = np.linalg.inv(matrices[:, :, :2])
    return np.concatenate([linear, -(linear @ matrices[:, :, 2:])], axis=2)


def apply(matrices: Matrices, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return where the points (k, 2) are taken by every map, shape (n, k, 2); order ``(y, x)``."""
    given = np.atleast_2d(np.asarray(points, dtype=np.float64))
    moved: npt.NDArray[np.float64] = np.einsum("nij,kj->nki", matrices[:, :, :2], given)
    moved += matrices[:, np.newaxis, :, 2]
    return moved


def is_translation(matrices: Matrices) -> bool:
    """Tell whether no map turns, scales or shears."""
    return bool(np.abs(matrices[:, :, :2] - np.eye(2)).max() < _EXACT)


def angles_deg(matrices: Matrices) -> npt.NDArray[np.float64]:
    """Return the direction into which every map takes ``y``, in degrees towards ``x``."""
    angles: npt.NDArray[np.float64] = np.rad2deg(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    return angles


def rescale(matrices: Matrices, from_pixel: float, to_pixel: float) -> Matrices:
    """Return the same maps between images with another pixel size.

    Images begin at the same corner: with ``k = to_pixel / from_pixel`` the pixel ``i`` of the new images
    is centred on ``(k - 1) / 2 + k i`` of the old ones, as a bin of ``k`` pixels is.

    Parameters
    ----------
    matrices : numpy.ndarray, shape (n, 2, 3)
        Maps in pixels of `from_pixel`, both sides.
    from_pixel, to_pixel : float
        Edges of the pixels in any one unit.
    """
    factor = to_pixel / from_pixel
    to_old = translation((factor - 1) / 2, (factor - 1) / 2)
    to_old[:, :, :2] *= factor
    return compose(compose(inverse(to_old), matrices), to_old)
