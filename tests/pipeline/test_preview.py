"""The preview: the same reconstruction at half the resolution, in the values of the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import chemtomo
from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.errors import ParameterError
from chemtomo.pipeline.preview import preview_of
from chemtomo.recon import ReconstructParameters


@pytest.fixture(scope="module")
def simulated() -> Dataset:
    return chemtomo.phantom((8, 48), tilts=24)


def reconstruct(dataset: Dataset, **parameters: Any) -> Volume:
    common = {"device": "numpy", "crop": "none", "tolerance": 0}
    return chemtomo.reconstruct(dataset, **(common | parameters)).volume


def binned(volume: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means over 2 x 2 x 2 voxels."""
    c, z, y, x = volume.shape
    means: npt.NDArray[np.float32] = volume.reshape(c, z // 2, 2, y // 2, 2, x // 2, 2).mean(axis=(2, 4, 6))
    return means


@pytest.mark.parametrize("method", ["sirt", "mlem", "tv"])
def test_a_preview_has_the_values_of_the_whole(simulated: Dataset, method: str, opencl: str) -> None:
    parameters = {
        "method": method,
        "iterations": 150 if method == "tv" else 15,
        "strength": 1.5,
        "device": opencl,
    }
    whole = binned(reconstruct(simulated, **parameters).data)
    preview = reconstruct(simulated, preview=True, **parameters)
    assert preview.data.shape == whole.shape
    assert preview.voxel_size_nm == 2 * simulated.series[0].pixel_size_nm
    for found, expected in zip(preview.data, whole, strict=True):
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9
    for channel in (0, 3):  # bright enough to have the same mass whatever the noise
        assert preview.data[channel].sum() == pytest.approx(whole[channel].sum(), rel=0.02)
        distance = np.linalg.norm(preview.data[channel] - whole[channel])
        assert distance < 0.25 * np.linalg.norm(whole[channel])


@pytest.mark.parametrize("method", ["sirt", "tv"])
def test_a_preview_has_gains_backgrounds_and_shifts_too(simulated: Dataset, method: str, opencl: str) -> None:
    """Of the same specimen, recorded with all of them, the preview is the same but for the noise."""
    generator = np.random.default_rng(2)
    shifts = generator.integers(-3, 4, 24)
    gains = np.linspace(0.6, 1.4, 24)

    def record(series: TiltSeries) -> TiltSeries:
        rolled = np.stack([np.roll(one, by, axis=-1) for one, by in zip(series.data, shifts, strict=True)])
        data = gains[:, None, None] * rolled + 3  # without more noise: only the model is looked at
        background = np.full(series.shape, 3.0)
        return series.replace(data=data, gains=gains, background=background, detector_shifts_px=shifts)

    channels = simulated.select(["HAADF", "Al"])
    parameters = {"method": method, "iterations": 100 if method == "tv" else 15, "device": opencl}
    expected = reconstruct(channels, preview=True, **parameters)
    found = reconstruct(channels.map(record), preview=True, **parameters)
    for one, other in zip(found.data, expected.data, strict=True):
        assert one.sum() == pytest.approx(other.sum(), rel=0.03)
        assert np.linalg.norm(one - other) < 0.15 * np.linalg.norm(other)


@pytest.mark.parametrize(
    ("changes", "shape", "origin"),
    [
        ({}, (24, 4, 24), (0.25, 0.25, 0.25)),
        ({"slices": (2, 6)}, (24, 2, 24), (0.25, 1.25, 0.25)),
        ({"slices": (3, 4)}, (24, 1, 24), (0.25, 1.25, 0.25)),
        ({"slices": (7, 8)}, (24, 1, 24), (0.25, 3.25, 0.25)),
        ({"crop": (4, 44), "keep_crop": True}, (20, 4, 20), (2.25, 0.25, 2.25)),
        ({"crop": (5, 43), "keep_crop": True}, (20, 4, 20), (2.25, 0.25, 2.25)),
    ],
)
def test_ranges_are_those_of_the_whole(
    simulated: Dataset, changes: dict[str, Any], shape: tuple[int, ...], origin: tuple[float, ...]
) -> None:
    volume = reconstruct(simulated, preview=True, method="sirt", iterations=1, **changes)
    assert volume.shape == shape
    assert volume.origin_px == origin


def test_a_single_row_and_odd_sizes_have_a_preview() -> None:
    dataset = chemtomo.phantom((5, 33), tilts=6)
    assert reconstruct(dataset, preview=True, method="sirt", iterations=1).shape == (16, 2, 16)
    flat = dataset.map(lambda series: series.replace(data=series.data[:, :1]))
    preview = reconstruct(flat, preview=True, method="sirt", iterations=20)
    assert preview.shape == (16, 1, 16)
    whole = reconstruct(flat, method="sirt", iterations=20)
    for name in ("HAADF", "Al"):
        # a voxel of the preview is four of the whole
        assert 4 * preview[name].sum() == pytest.approx(whole[name].sum(), rel=0.05)


def test_the_recipe_of_a_preview_is_that_of_the_whole(simulated: Dataset) -> None:
    volume = reconstruct(simulated, preview=True, method="tv", iterations=1, slices=(2, 6))
    (step,) = volume.provenance["steps"]
    assert step["preview"] is True
    assert step["slices"] == [2, 6]
    assert "strength" not in step  # that of the whole, the default


def test_the_parameters_of_a_preview_are_no_preview(simulated: Dataset) -> None:
    dataset, parameters = preview_of(simulated, ReconstructParameters(preview=True))
    assert parameters.preview is False
    assert parameters.alpha0 / parameters.alpha1 == 4 / 2  # a second derivative of binned pixels counts half
    assert dataset.series[0].shape == (24, 4, 24)
    assert dataset.series[1].data.sum() == simulated.series[1].data.sum()
    assert dataset.series[0].data.mean() == pytest.approx(simulated.series[0].data.mean(), rel=1e-5)


@pytest.mark.parametrize("name", ["HAADF", "Al"])
def test_limits_and_grey_levels_are_those_of_the_whole(simulated: Dataset, name: str) -> None:
    signal = simulated.select([name])
    free = reconstruct(signal, preview=True, method="sirt", iterations=5).data.max()
    limited = reconstruct(signal, preview=True, method="sirt", iterations=5, maximum=0.5 * float(free))
    assert limited.data.max() == pytest.approx(0.5 * free)
    levels = (0.0, 0.5 * float(free))
    found = reconstruct(signal, preview=True, method="dart", iterations=2, grey_levels=levels)
    np.testing.assert_allclose(np.unique(found.data), levels, rtol=1e-6)
    with pytest.raises(ParameterError, match="expected signals of one kind"):
        reconstruct(simulated, preview=True, method="sirt", iterations=1, maximum=1.0)
