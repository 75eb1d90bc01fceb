"""Fourier shell correlation: against volumes whose common signal is known."""

from __future__ import annotations

import numpy as np
import pytest

from chemtomo.errors import DataError, ParameterError
from chemtomo.trust.resolution import shell_correlation, soft_mask

SHAPE = (48, 40, 48)


def _white(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def _with_signal_below(frequency: float, seed: int) -> np.ndarray:
    """Noise everywhere, and a common signal up to a frequency in 1 / voxel."""
    k = np.sqrt(sum(axis**2 for axis in np.meshgrid(*map(np.fft.fftfreq, SHAPE), indexing="ij")))
    signal = np.fft.ifftn(np.fft.fftn(_white(0)) * (k < frequency)).real
    return (5 * signal + _white(seed)).astype(np.float32)


def test_equal_volumes_agree_everywhere() -> None:
    found = shell_correlation(_white(1), _white(1), 2.0)
    assert found.correlation == pytest.approx(1.0)
    assert not found.reached
    assert found.resolution_nm == 4.0


def test_noise_agrees_nowhere() -> None:
    found = shell_correlation(_white(1), _white(2), 1.0)
    assert np.abs(found.correlation[4:]).max() < 0.25
    assert found.resolution_nm > 8


@pytest.mark.parametrize("frequency", [0.1, 0.2, 0.35])
@pytest.mark.parametrize("criterion", ["half-bit", "0.143", "0.5"])
def test_finds_where_the_common_signal_ends(frequency: float, criterion) -> None:
    first, second = (_with_signal_below(frequency, seed) for seed in (1, 2))
    found = shell_correlation(first, second, 0.5, criterion=criterion)
    assert found.reached
    assert 0.5 / found.resolution_nm == pytest.approx(frequency, abs=1.5 / 48)


def test_does_not_depend_on_scale_offset_or_order() -> None:
    first, second = (_with_signal_below(0.2, seed) for seed in (1, 2))
    found = shell_correlation(first, second, 1.0)
    other = shell_correlation(3 * second + 7, first, 1.0)
    assert other.correlation == pytest.approx(found.correlation, abs=1e-4)
    finer = shell_correlation(first, second, 0.25)
    assert finer.resolution_nm == pytest.approx(found.resolution_nm / 4)


def test_directions_are_told_apart() -> None:
    """A signal that is fine along z and coarse across it."""
    kz, _, kx = np.meshgrid(*map(np.fft.fftfreq, SHAPE), indexing="ij")
    signal = np.fft.ifftn(np.fft.fftn(_white(0)) * (np.abs(kx) < 0.1) * (np.abs(kz) < 0.4)).real
    first, second = ((8 * signal + _white(seed)).astype(np.float32) for seed in (1, 2))
    beam = shell_correlation(first, second, 1.0, direction="beam")
    across = shell_correlation(first, second, 1.0, direction="across")
    assert beam.resolution_nm < 0.6 * across.resolution_nm


def test_a_mask_adds_no_resolution() -> None:
    """What is equal in both because of a common, sharp mask is taken off."""
    z, y, x = np.indices(SHAPE)
    mask = (np.hypot(z - 24, x - 24) < 9 + 0 * y).astype(np.float32)
    first, second = (_with_signal_below(0.15, seed) + np.float32(3) for seed in (1, 2))
    masked = shell_correlation(first, second, 1.0, mask=mask)
    # The signal itself is spread by the transform of the mask, 18 voxels wide.
    assert 1 / masked.resolution_nm == pytest.approx(0.15, abs=1 / 18)
    assert np.abs(masked.correlation[-4:]).max() < 0.3


def test_the_mask_holds_the_sample() -> None:
    volume = np.zeros(SHAPE, np.float32)
    volume[10:30, :, 12:28] = 1
    mask = soft_mask(volume)
    assert mask[12:28, :, 14:26].min() == 1
    assert mask[:2].max() == 0
    assert mask.min() >= 0
    assert mask.max() <= 1


def test_refuses_what_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="shapes"):
        shell_correlation(_white(1), _white(2)[1:], 1.0)
    with pytest.raises(DataError, match="same everywhere"):
        shell_correlation(_white(1), np.zeros(SHAPE, np.float32), 1.0)
    with pytest.raises(ParameterError, match="direction"):
        shell_correlation(_white(1), _white(2), 1.0, direction="up")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="criterion"):
        shell_correlation(_white(1), _white(2), 1.0, criterion="1.0")  # type: ignore[arg-type]
