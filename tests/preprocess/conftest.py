"""What the tests of the preparation share: a series with all that can belong to a projection."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from chemtomo.data import Alignment, TiltSeries


def particles(tilts_deg, shape=(96, 96), seed=0):
    """Projections (tilt, y, x) of small spheres, about 100 in the brightest pixels, without noise."""
    rng = np.random.default_rng(seed)
    height, width = shape
    reach = 0.2 * width
    x, z = rng.uniform(-reach, reach, (2, 25))
    y = rng.uniform(0.15 * height, 0.85 * height, 25)
    radius = rng.uniform(0.03, 0.09, 25) * width
    rows, columns = np.mgrid[:height, :width]
    images = []
    for angle in np.deg2rad(tilts_deg):
        at = (width - 1) / 2 + x * np.cos(angle) + z * np.sin(angle)
        away = (columns - at[:, None, None]) ** 2 + (rows - y[:, None, None]) ** 2
        images.append(2 * np.sqrt(np.clip(radius[:, None, None] ** 2 - away, 0, None)).sum(axis=0))
    stack = ndimage.gaussian_filter(np.array(images), (0, 0.7, 0.7))
    return 100 * stack / stack.max()


@pytest.fixture(scope="session")
def sample():
    """Clean projections of small particles."""
    return particles(np.arange(-60.0, 61.0, 4.0))


@pytest.fixture
def full():
    """A series of counts in which every attribute is set, and no two tilts are alike."""
    rng = np.random.default_rng(5)
    tilts = np.array([10.0, -20.0, 40.0, 0.0, 25.0])
    data = rng.poisson(4.0, (5, 12, 16)).astype(np.uint16)
    data[:, 0, 0] = 100 + np.arange(5)
    background = np.broadcast_to(np.arange(5, dtype=np.float32)[:, None, None], data.shape).copy()
    data.setflags(write=False)
    background.setflags(write=False)
    valid = rng.random(data.shape) > 0.1
    valid.setflags(write=False)
    matrices = np.tile(np.eye(2, 3), (5, 1, 1))
    matrices[:, 0, 2] = np.arange(5)
    matrices[:, 1, 2] = -2.0 * np.arange(5)
    return TiltSeries(
        "Al",
        data,
        tilts,
        2.0,
        "counts",
        axis_position_px=6.5,
        detector_shifts_px=np.arange(5) / 2,
        gains=1 + np.arange(5) / 10,
        background=background,
        valid=valid,
        alignment=Alignment("HAADF", tilts, matrices, pixel_size_nm=2.0, shape=(12, 16)),
        notes=("a note",),
    )
