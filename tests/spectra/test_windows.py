from __future__ import annotations

import numpy as np
import pytest

from chemtomo.data import SpectrumSeries
from chemtomo.errors import ParameterError
from chemtomo.spectra import EnergyWindow, choose_line, edge_window, line_window, line_windows, resolution_keV


def _spectra(channels=2000, step=0.01, offset=0.0, signal="EDX") -> SpectrumSeries:
    return SpectrumSeries(
        signal, np.zeros((1, 2, 2, channels), np.uint8), np.zeros(1), offset, step, signal=signal
    )


def test_the_resolution_is_that_of_the_maker_at_manganese():
    assert resolution_keV(5.895, 130) == pytest.approx(0.130)
    assert resolution_keV(0.277, 130) < 0.08
    assert resolution_keV(17.4, 130) > 0.2
    assert resolution_keV(0.1, 110) > 0  # the formula by itself would have no root


def test_a_window_holds_the_share_of_a_gaussian():
    from scipy.special import erf

    line = choose_line("Fe_Ka", 0, 20)
    window = line_window(line, width_fwhm=1.5)
    width = resolution_keV(line.energy_keV)
    assert window.high_keV - window.low_keV == pytest.approx(1.5 * width)
    sigma = width / np.sqrt(8 * np.log(2))
    assert erf(0.75 * width / sigma / np.sqrt(2)) == pytest.approx(0.92, abs=0.005)


def test_the_background_is_on_both_sides_and_keeps_away_from_other_lines():
    names = ["Fe", "Co", "Fe_Kb", "Cu", "Ni"]
    lines = {one: choose_line(one, 0, 20) for one in names}
    for window in line_windows(_spectra(), names):
        assert window.background
        for low, high in window.background:
            assert high < window.low_keV or window.high_keV < low
        for low, high in window.background:
            for line in lines.values():
                assert not low < line.energy_keV < high
    assert len(line_windows(_spectra(), ["Fe", "Cu"])[1].background) == 2


def test_the_background_of_copper_keeps_away_from_the_k_beta_of_cobalt():
    copper = line_windows(_spectra(), ["Cu", "Co"])[0]
    beta = choose_line("Co_Kb", 0, 20).energy_keV
    for low, high in copper.background:
        assert not low - resolution_keV(beta) < beta < high + resolution_keV(beta)


def test_the_background_is_where_the_line_has_ended():
    line = choose_line("Cu_Ka", 0, 20)
    sigma = resolution_keV(line.energy_keV) / np.sqrt(8 * np.log(2))
    for low, high in line_window(line).background:
        assert min(abs(low - line.energy_keV), abs(high - line.energy_keV)) > 3.4 * sigma


def test_a_side_beyond_the_end_of_the_spectrum_has_no_background():
    window = line_window(choose_line("C", 0, 20), limits_keV=(0.18, 20.0))
    assert len(window.background) == 1
    assert window.background[0][0] > window.high_keV


def test_maps_of_one_element_are_named_by_their_lines():
    assert [one.name for one in line_windows(_spectra(), ["Fe", "Cu"])] == ["Fe", "Cu"]
    assert [one.name for one in line_windows(_spectra(), ["Fe", "Fe_La"])] == ["Fe_Ka", "Fe_La"]


def test_a_line_twice_is_refused():
    with pytest.raises(ParameterError, match="Fe_Ka twice"):
        line_windows(_spectra(), ["Fe", "Fe_Ka"])


def test_the_range_before_an_edge_ends_before_its_onset():
    series = _spectra(2048, 0.0005, 0.4, "EELS")
    window = edge_window(series, "Fe")
    assert window.line == "Fe_L3"
    assert window.background[0][1] < 0.7068 < window.high_keV
    assert edge_window(series, "Fe_L1").line == "Fe_L1"


def test_an_edge_that_was_not_recorded_is_refused():
    with pytest.raises(ParameterError, match="Fe_K at 7112"):
        edge_window(_spectra(1000, 0.0002, 0.2, "EELS"), "Fe")


@pytest.mark.parametrize(
    ("low", "high", "background"),
    [(1.0, 1.0, ()), (2.0, 1.0, ()), (1.0, 2.0, ((3.0, 2.5),)), (1.0, 2.0, ((0, 0.1),) * 3), (1, np.nan, ())],
)
def test_a_window_that_is_none_is_refused(low, high, background):
    with pytest.raises(ParameterError, match="expected"):
        EnergyWindow("Fe", "Fe_Ka", low, high, background)
