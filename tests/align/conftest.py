"""A small recording with a known truth: Gaussian balls, whose projections are known in closed form."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from chemtomo.data import Alignment, TiltSeries
from chemtomo.geometry import affine

SHAPE = (72, 80)
TILTS = np.arange(-70.0, 71.0, 10.0)


@dataclasses.dataclass
class Recorded:
    """A misaligned series, its true alignment, and where the balls are, (z, y, x) from the middle."""

    series: TiltSeries
    truth: Alignment
    balls: npt.NDArray[np.float64]

    def error_px(self, estimate: Alignment) -> float:
        """Root mean square over balls and tilts, after the best shift of the whole sample."""
        tilts = np.deg2rad(self.truth.tilts_deg)
        z, y, x = self.balls.T
        s = x * np.cos(tilts)[:, None] + z * np.sin(tilts)[:, None]
        ideal = np.stack([np.broadcast_to(y, s.shape), s], axis=-1) + affine.centre(SHAPE)
        moved = affine.compose(affine.inverse(estimate.matrices), self.truth.matrices)
        seen = np.einsum("nij,nkj->nki", moved[:, :, :2], ideal) + moved[:, None, :, 2]
        off = (seen - ideal).mean(axis=1)
        # A shift of the whole sample, in z, y and x, is no error.
        free = np.stack([np.cos(tilts), np.sin(tilts)], axis=1)
        sample = np.linalg.lstsq(free, off[:, 1], rcond=None)[0]
        rest = seen - ideal
        rest[:, :, 0] -= off[:, 0].mean()
        rest[:, :, 1] -= (free @ sample)[:, None]
        return float(np.sqrt((rest**2).sum(axis=-1).mean()))


def _record(
    *,
    angle=0.0,
    offset=0.0,
    jitter=4.0,
    tilts=TILTS,
    pedestal=0.0,
    noise=0.0,
    needle=False,
    sizes=(1.5, 3.0),
    seed=0,
    name="HAADF",
):
    """Project balls, seen by a detector that is shifted at every tilt and turned against the axis."""
    rng = np.random.default_rng(seed)
    tilts = np.asarray(tilts, dtype=float)
    number = 24
    balls = rng.normal(0, 1, (number, 3))
    balls *= (14 * rng.uniform(0.3, 1, number) ** (1 / 3) / np.linalg.norm(balls, axis=1))[:, None]
    widths, weights = rng.uniform(*sizes, number), rng.uniform(0.5, 2.0, number)
    if needle:
        balls[:, 1] = rng.uniform(-60, 60, number)
        balls[:, [0, 2]] *= 0.5
    shifts = rng.uniform(-jitter, jitter, (tilts.size, 2))
    matrices = affine.compose(affine.translation(*shifts.T), affine.tilt_axis(angle, offset, SHAPE))
    radians = np.deg2rad(tilts)
    z, y, x = balls.T
    s = x * np.cos(radians)[:, None] + z * np.sin(radians)[:, None]
    places = np.stack([np.broadcast_to(y, s.shape), s], axis=-1) + affine.centre(SHAPE)
    seen = np.einsum("nij,nkj->nki", matrices[:, :, :2], places) + matrices[:, None, :, 2]
    rows, columns = np.arange(SHAPE[0]), np.arange(SHAPE[1])
    data = np.zeros((tilts.size, *SHAPE))
    for ball, (size, weight) in enumerate(zip(widths, weights, strict=True)):
        down = np.exp(-((rows - seen[:, ball, :1]) ** 2) / (2 * size**2))
        right = np.exp(-((columns - seen[:, ball, 1:]) ** 2) / (2 * size**2))
        data += weight * down[:, :, None] * right[:, None, :]
    data += pedestal * data.max()
    data += rng.normal(0, noise * data.max(), data.shape)
    truth = Alignment(
        name, tilts, matrices, axis_angle_deg=angle, axis_offset_px=offset, shape=SHAPE, pixel_size_nm=1.0
    )
    return Recorded(TiltSeries(name, data.astype(np.float32), tilts), truth, balls)


@pytest.fixture(scope="session")
def record():
    """Return the function that simulates a recording."""
    return _record


@pytest.fixture(scope="session")
def recorded():
    return _record()
