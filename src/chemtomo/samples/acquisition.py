"""A simulated acquisition of the specimen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chemtomo.data import Dataset, TiltSeries
from chemtomo.data.fingerprint import frame_digest
from chemtomo.data.origin import Origin
from chemtomo.errors import ParameterError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.samples.specimen import HAADF_GAIN, phantom_volume, require_large_enough

__all__ = ["phantom"]

_FINER = 2


def phantom(shape: tuple[int, int] = (32, 96), tilts: int = 36, seed: int = 0) -> Dataset:
    """Simulate tilt series of four signals: HAADF, and EDX maps of Yb, Si and Al.

    The specimen of `chemtomo.samples.phantom_volume` is projected at equal steps over 180 degrees.
    Element maps are Poisson counts, whole numbers of at most a few tens; the HAADF signal is that of
    some ten thousand electrons per pixel, times the gain of the detector.

    Parameters
    ----------
    shape : (int, int)
        Slices ``y`` and detector pixels ``x`` of a projection.
    tilts : int
        Number of projections, from -90 degrees.
    seed : int
        Seed of the noise: equal seeds give equal data.

    Returns
    -------
    Dataset
        Element maps of the kind ``"counts"`` in uint16; HAADF in float32.

    Raises
    ------
    ParameterError
        When there is no tilt, or the shape is too small for the specimen.
    """
    if tilts < 1:
        raise ParameterError(f"phantom: found {tilts} tilts; expected at least 1")
    require_large_enough(shape)
    slices, pixels = shape
    tilts_deg: npt.NDArray[np.float64] = -90 + 180 / tilts * np.arange(tilts, dtype=np.float64)
    # The sample is not made of the voxels of its reconstruction: it is projected on a finer grid.
    fine = phantom_volume((slices, _FINER * pixels))
    edge = _FINER * pixels
    projector = Projector(ParallelBeam(tilts_deg, edge, (edge, edge)), len(fine.names), slices)
    projected = projector.forward(fine.data)
    expected = projected.reshape(*projected.shape[:3], pixels, _FINER).mean(axis=-1)
    rng = np.random.default_rng(seed)
    options = {"shape": [slices, pixels], "tilts": tilts, "seed": seed}
    series = []
    for name, signal in zip(fine.names, expected, strict=True):
        counts = name != "HAADF"
        gain = 1.0 if counts else HAADF_GAIN
        noisy = rng.poisson(signal / gain) * gain
        one = TiltSeries(
            name=name,
            data=noisy.astype(np.uint16 if counts else np.float32),
            tilts_deg=tilts_deg,
            pixel_size_nm=fine.voxel_size_nm * _FINER,
            kind="counts" if counts else "intensity",
            source=f"simulated phantom, seed {seed}",
        )
        origin = Origin(name, sample="phantom", options=options, frame=frame_digest(one))
        series.append(one.replace(origin=origin))
    return Dataset(tuple(series))
