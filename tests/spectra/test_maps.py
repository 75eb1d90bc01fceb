from __future__ import annotations

import dask.array
import numpy as np
import pytest
from tests.spectra.conftest import make_specimen

from chemtomo.data import SpectrumSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.progress import finish
from chemtomo.spectra import (
    EnergyWindow,
    element_maps,
    element_maps_job,
    line_windows,
    lines_of,
    sum_spectrum,
)
from chemtomo.spectra.blocks import block_list


def _significance(measured, expected, variance) -> float:
    """Return the distance of a sum from its expectation in standard deviations."""
    return float((measured.sum() - expected.sum()) / np.sqrt(variance.sum()))


def test_counts_are_those_of_the_window_and_stay_whole(specimen):
    (window,) = line_windows(specimen.series, ["Fe"])
    fe = element_maps(specimen.series, [window])["Fe"]
    inside = (specimen.series.energies_keV >= window.low_keV) & (
        specimen.series.energies_keV < window.high_keV
    )
    assert fe.kind == "counts"
    assert fe.data.dtype.kind == "u"
    np.testing.assert_array_equal(fe.data, specimen.series.data[..., inside].sum(axis=-1))
    assert fe.background.min() >= 0
    assert fe.tilts_deg.tolist() == specimen.series.tilts_deg.tolist()
    assert fe.pixel_size_nm == 2.0
    assert fe.provenance[-1]["line"] == "Fe_Ka"
    assert fe.provenance[-1]["window_keV"] == [window.low_keV, window.high_keV]


@pytest.mark.parametrize("method", ["window", "fit"])
def test_an_isolated_line_is_found_without_bias(specimen, method):
    (window,) = line_windows(specimen.series, ["Cu"], others=lines_of("Co"))
    others = ["Fe", "Co", "O"] if method == "fit" else []
    found = element_maps(specimen.series, [window], method=method, others=others)["Cu"]
    truth = specimen.in_window("Cu_K", window.low_keV, window.high_keV)
    net = found.data - found.background.astype(float)
    assert abs(_significance(net, truth, found.data + found.background)) < 3
    # Not only the sum: the map follows the truth as well as its noise lets it.
    residual = (net - truth) / np.sqrt(np.maximum(truth + found.background, 1))
    assert residual.std() < 1.2


def test_the_background_is_that_of_the_bremsstrahlung(specimen):
    (window,) = line_windows(specimen.series, ["Cu"], others=lines_of("Co"))
    truth = specimen.in_window("background", window.low_keV, window.high_keV)
    found = element_maps(specimen.series, [window])["Cu"].background
    assert found.mean() == pytest.approx(truth.mean(), rel=0.1)


def test_the_fit_separates_overlapping_lines_where_the_window_cannot():
    """Co Ka is on Fe Kb: with much Fe and little Co, a window alone shows Fe in the map of Co."""
    specimen = make_specimen({"Fe_K": 150.0, "Co_K": 12.0}, 100.0, shape=(2, 16, 16), seed=8)
    windows = line_windows(specimen.series, ["Fe", "Co"])
    co = windows[1]
    truth = specimen.in_window("Co_K", co.low_keV, co.high_keV)
    iron = specimen.in_window("Fe_K", co.low_keV, co.high_keV)
    fitted = element_maps(specimen.series, windows, method="fit")["Co"]
    plain = element_maps(specimen.series, windows, method="window")["Co"]
    net = fitted.data - fitted.background.astype(float)
    assert abs(_significance(net, truth, fitted.data + fitted.background)) < 3
    assert _significance(plain.data - plain.background, truth, plain.data + plain.background) > 5
    # The iron is in the background, pixel by pixel.
    assert np.corrcoef(fitted.background.ravel(), iron.ravel())[0, 1] > 0.9


def test_sulfur_and_molybdenum_are_told_apart_by_their_other_lines():
    specimen = make_specimen({"S_K": 80.0, "Mo_L": 50.0}, 60.0, shape=(2, 24, 24), seed=2)
    windows = line_windows(specimen.series, ["S", "Mo"])
    found = element_maps(specimen.series, windows, method="fit")
    for window, component in zip(windows, ("S_K", "Mo_L"), strict=True):
        one = found[window.name]
        truth = specimen.in_window(component, window.low_keV, window.high_keV).sum()
        net = one.data.sum() - one.background.sum(dtype=float)
        assert net == pytest.approx(truth, rel=0.15)


def test_lines_that_are_hard_to_tell_apart_are_said():
    specimen = make_specimen({"S_K": 50.0, "Mo_L": 50.0, "Fe_K": 50.0}, 50.0)
    apart = element_maps(specimen.series, line_windows(specimen.series, ["Fe"]), method="fit", others=["S"])
    assert not any("overlap strongly" in note for note in apart["Fe"].notes)
    alike = element_maps(specimen.series, line_windows(specimen.series, ["S"]), method="fit", others=["Mo"])
    assert any("S_K" in note and "Mo_L" in note for note in alike["S"].notes)


@pytest.mark.parametrize("method", ["window", "fit"])
def test_the_sum_of_a_map_is_the_map_of_the_sum(specimen, method):
    series = specimen.series
    windows = line_windows(series, ["Fe", "Cu"])
    whole = sum_spectrum(series)
    total = SpectrumSeries("sum", whole[np.newaxis, np.newaxis, np.newaxis], np.zeros(1), 0.0, 0.01)
    settings = {"method": method, "others": ["Co", "O"] if method == "fit" else ()}
    maps = element_maps(series, windows, **settings)
    of_sum = element_maps(total, windows, **settings)
    for name in maps.names:
        assert maps[name].data.sum() == of_sum[name].data.sum()
        assert maps[name].background.sum(dtype=float) == pytest.approx(
            of_sum[name].background.item(), rel=2e-3
        )


def test_windows_beside_each_other_add_up(specimen):
    one = EnergyWindow("one", "Fe_1", 6.2, 6.4)
    two = EnergyWindow("two", "Fe_2", 6.4, 6.7)
    both = EnergyWindow("both", "Fe_3", 6.2, 6.7)
    found = element_maps(specimen.series, [one, two, both])
    np.testing.assert_array_equal(found["one"].data + found["two"].data, found["both"].data)
    assert found["both"].background is None


def test_more_counts_give_proportional_maps(specimen):
    windows = line_windows(specimen.series, ["Fe"])
    once = element_maps(specimen.series, windows)["Fe"]
    twice = element_maps(specimen.series.replace(data=specimen.series.data * 3), windows)["Fe"]
    np.testing.assert_array_equal(twice.data, 3 * once.data)
    np.testing.assert_allclose(twice.background, 3 * once.background, rtol=1e-5)


@pytest.mark.parametrize("chunks", [(1, 5, 16, 1200), (2, 12, 7, 1200), (1, 4, 4, 300)])
@pytest.mark.parametrize("method", ["window", "fit"])
def test_lazy_spectra_give_the_same_maps(specimen, chunks, method):
    windows = line_windows(specimen.series, ["Fe", "Cu"])
    lazy = specimen.series.replace(data=dask.array.from_array(specimen.series.data, chunks=chunks))
    for one, other in zip(
        element_maps(specimen.series, windows, method=method),
        element_maps(lazy, windows, method=method),
        strict=True,
    ):
        np.testing.assert_array_equal(one.data, other.data)
        np.testing.assert_allclose(one.background, other.background, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("chunks", [None, (1, 5, 16, 1200), (2, 12, 7, 1200), (1, 1, 1, 1200)])
@pytest.mark.parametrize("size", [1, 100_000, 10**9])
def test_blocks_cover_every_pixel_once(specimen, chunks, size):
    series = specimen.series
    if chunks:
        series = series.replace(data=dask.array.from_array(series.data, chunks=chunks))
    seen = np.zeros(series.shape[:3], int)
    for block in block_list(series, size):
        seen[block.place] += 1
        if size == 100_000 and chunks in (None, (1, 1, 1, 1200)):
            assert seen[block.place].size * 1200 * 2 <= max(size, 2400)
    assert (seen == 1).all()


def test_spectra_are_not_changed(specimen):
    before = specimen.series.data.copy()
    element_maps(specimen.series, line_windows(specimen.series, ["Fe"]), method="fit")
    np.testing.assert_array_equal(specimen.series.data, before)


def test_whole_numbers_in_floats_become_counts_and_negative_values_do_not(specimen):
    windows = line_windows(specimen.series, ["Fe"])
    floats = specimen.series.replace(data=specimen.series.data.astype(np.float32))
    assert element_maps(floats, windows)["Fe"].data.dtype == np.uint32
    dark = specimen.series.replace(data=specimen.series.data.astype(np.float32) - 3.0)
    found = element_maps(dark, windows)["Fe"]
    assert found.kind == "intensity"
    assert any("not counts" in note for note in found.notes)


def test_values_that_are_not_finite_are_refused(specimen):
    data = specimen.series.data.astype(np.float32)
    data[1, 2, 3, 640] = np.nan
    with pytest.raises(DataError, match="not finite"):
        element_maps(specimen.series.replace(data=data), line_windows(specimen.series, ["Fe"]))


def test_it_tells_progress_and_can_be_stopped(specimen):
    windows = line_windows(specimen.series, ["Fe"])
    seen = []
    finish(element_maps_job(specimen.series, windows), seen.append)
    assert [one.done for one in seen] == list(range(1, seen[-1].total + 1))
    stopped = finish(element_maps_job(specimen.series, windows, method="fit", should_stop=lambda: True))
    assert stopped is None


def test_ranges_of_background_on_one_side_are_refused(specimen):
    window = EnergyWindow("Fe", "Fe_Ka", 6.3, 6.5, ((5.0, 5.2), (5.5, 5.7)))
    with pytest.raises(ParameterError, match="one side"):
        element_maps(specimen.series, [window])


def test_a_window_outside_of_the_spectra_is_refused(specimen):
    with pytest.raises(ParameterError, match="no channel between 30"):
        element_maps(specimen.series, [EnergyWindow("x", "x_Ka", 30.0, 31.0)])
