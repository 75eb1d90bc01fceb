"""Energy-loss edges on a power law with a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import SpectrumSeries
from chemtomo.errors import ParameterError
from chemtomo.spectra import EdgeExtractor, EnergyWindow, edge_window, element_maps

_STEP = 0.0005
_LOSSES = 0.4 + _STEP * np.arange(1024)


def _series(mean, seed=None) -> SpectrumSeries:
    data = mean if seed is None else np.random.default_rng(seed).poisson(mean).astype(np.uint32)
    return SpectrumSeries("EELS", data, np.zeros(1), 0.4, _STEP, signal="EELS")


def _power_law(amplitude, exponent, shape):
    return np.broadcast_to(amplitude * (_LOSSES / 0.4) ** -exponent, (*shape, _LOSSES.size))


@given(st.floats(0.0, 8.0), st.floats(1.0, 1e6))
def test_a_power_law_without_an_edge_leaves_nothing(exponent, amplitude):
    series = _series(_power_law(amplitude, exponent, (1, 2, 3)))
    iron = element_maps(series, [edge_window(series, "Fe")], method="eels", smoothing_px=0)["Fe"]
    np.testing.assert_allclose(iron.background, iron.data, rtol=2e-4)


def test_the_counts_of_an_edge_are_found_without_bias():
    edge = np.where(_LOSSES > 0.7068, 60.0 * (_LOSSES / 0.7068) ** -3, 0.0)
    amount = np.linspace(0.0, 2.0, 20)[:, np.newaxis, np.newaxis]
    mean = _power_law(900.0, 3.2, (1, 20, 20)) + amount * edge
    series = _series(mean, seed=4)
    window = edge_window(series, "Fe", width_eV=60)
    found = element_maps(series, [window], method="eels", smoothing_px=2)["Fe"]
    inside = slice(*np.searchsorted(_LOSSES, [window.low_keV, window.high_keV]))
    truth = np.broadcast_to((amount * edge)[..., inside].sum(-1), (1, 20, 20))
    net = found.data - found.background.astype(float)
    assert found.kind == "counts"
    assert net.sum() == pytest.approx(truth.sum(), rel=0.03)
    assert np.corrcoef(net.ravel(), truth.ravel())[0, 1] > 0.97


def test_pixels_without_counts_get_a_background_that_is_finite():
    mean = np.array(_power_law(0.05, 3.0, (1, 6, 6)))
    series = _series(mean, seed=1)
    found = element_maps(series, [edge_window(series, "Fe")], method="eels", smoothing_px=0)["Fe"]
    assert np.isfinite(found.background).all()
    assert found.background.min() >= 0
    nothing = _series(np.zeros((1, 2, 2, 1024), np.uint8))
    empty = element_maps(nothing, [edge_window(nothing, "Fe")], method="eels")["Fe"]
    assert not empty.background.any()


@pytest.mark.parametrize(
    ("background", "words"),
    [((), "found 0 ranges"), (((0.5, 0.5003),), "one channel"), (((0.5, 0.6), (0.8, 0.9)), "found 2 ranges")],
)
def test_windows_that_do_not_fit_are_refused(background, words):
    window = EnergyWindow("Fe", "Fe_L3", 0.7, 0.75, background)
    with pytest.raises(ParameterError, match=words):
        EdgeExtractor(_LOSSES, [window])
