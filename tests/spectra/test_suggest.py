from __future__ import annotations

import numpy as np
import pytest

from chemtomo.spectra import find_peaks, kramers_shapes, line_shape, suggest_edges, suggest_lines

_ENERGIES = 0.01 * np.arange(2000)


def _spectrum(background=200_000.0, seed=0, **shells) -> np.ndarray:
    mean = background * kramers_shapes(_ENERGIES)[2]
    for name, counts in shells.items():
        mean = mean + counts * line_shape(*name.split("_"), _ENERGIES)
    return np.random.default_rng(seed).poisson(mean).astype(float)


@pytest.mark.parametrize(
    "shells",
    [
        {"Fe_K": 30e3, "Fe_L": 8e3, "Co_K": 20e3, "Co_L": 5e3, "O_K": 40e3, "Cu_K": 1e4, "C_K": 3e3},
        {"Ti_K": 30e3, "O_K": 20e3},
        {"Ba_L": 30e3, "Ba_M": 5e3, "O_K": 10e3},
        {"Ba_L": 20e3, "Ti_K": 20e3, "O_K": 30e3},
        {"S_K": 20e3, "C_K": 10e3},
        {"Mo_L": 20e3, "Mo_K": 6e3, "S_K": 30e3},
        {"Au_M": 20e3, "Au_L": 8e3, "Si_K": 20e3},
        {"Al_K": 100e3, "Si_K": 5e3, "Yb_L": 3e3, "Yb_M": 4e3, "Cu_K": 5e3},
        {"F_K": 20e3, "Ca_K": 10e3},
    ],
    ids="-".join,
)
def test_the_elements_of_a_spectrum_are_found_and_no_others(shells):
    found = suggest_lines(_spectrum(**shells), _ENERGIES)
    assert {one.element for one in found} == {name.split("_")[0] for name in shells}
    assert [one.significance for one in found] == sorted((one.significance for one in found), reverse=True)


@pytest.mark.parametrize("seed", range(4))
def test_bremsstrahlung_alone_suggests_nothing(seed):
    assert suggest_lines(_spectrum(seed=seed), _ENERGIES) == []
    assert suggest_lines(np.zeros(2000), _ENERGIES) == []


def test_the_counts_are_about_those_of_the_line():
    (one,) = suggest_lines(_spectrum(Fe_K=20_000.0), _ENERGIES)
    assert one.line == "Fe_Ka"
    assert one.energy_keV == pytest.approx(6.40, abs=0.01)
    # K alpha has 87.5 % of the K lines, and the window 92 % of it.
    assert one.counts == pytest.approx(20_000 * 0.875 * 0.92, rel=0.05)
    assert "Ka 6.401 keV" in one.reasons[0]


def test_overlaps_and_grids_are_named():
    found = {one.element: one for one in suggest_lines(_spectrum(Ba_L=2e4, Ti_K=2e4, Cu_K=1e4), _ENERGIES)}
    assert any("overlaps with Ba" in one for one in found["Ti"].cautions)
    assert any("grid" in one for one in found["Cu"].cautions)


def test_the_inner_lines_decide_between_sulfur_and_molybdenum():
    sulfur = suggest_lines(_spectrum(S_K=40_000.0), _ENERGIES)
    assert [one.element for one in sulfur] == ["S"]
    molybdenum = suggest_lines(_spectrum(Mo_L=40_000.0, Mo_K=12_000.0), _ENERGIES)
    assert [one.element for one in molybdenum] == ["Mo"]


def test_a_faint_element_is_suggested_and_not_certain():
    found = suggest_lines(_spectrum(Fe_K=50_000.0, Ca_K=500.0), _ENERGIES)
    certain = {one.element: one.is_certain for one in found}
    assert certain == {"Fe": True, "Ca": False}


def test_peaks_are_at_the_lines():
    peaks, significance = find_peaks(_spectrum(Fe_K=20_000.0, O_K=20_000.0), _ENERGIES)
    for energy in (0.525, 6.401, 7.06):
        assert np.abs(_ENERGIES[peaks] - energy).min() < 0.03
    assert significance[peaks].min() >= 5


def test_a_few_hundred_counts_are_enough():
    found = suggest_lines(_spectrum(2000.0, Fe_K=300.0, O_K=200.0), _ENERGIES)
    assert {one.element for one in found} == {"Fe", "O"}


def test_edges_are_found_on_a_power_law():
    losses = 0.25 + 0.0005 * np.arange(1600)
    power = 1e6 * (losses / 0.25) ** -3.0
    oxygen = np.where(losses > 0.5431, 0.3 * 1e6 * (0.5431 / 0.25) ** -3 * (losses / 0.5431) ** -3, 0)
    iron = np.where(losses > 0.7068, 0.4 * 1e6 * (0.7068 / 0.25) ** -3 * (losses / 0.7068) ** -3, 0)
    rng = np.random.default_rng(1)
    found = suggest_edges(rng.poisson(power + oxygen + iron).astype(float), losses)
    assert {"O_K", "Fe_L3"} <= {one.line for one in found[:3]}
    assert suggest_edges(rng.poisson(power).astype(float), losses) == []


def test_the_published_map_shows_titanium_and_oxygen(data_folder):
    """The file names Cu, O, Pd and Ti; copper has no counts above its background."""
    bruker = pytest.importorskip("rsciio.bruker")
    (map_,) = (
        one for one in bruker.file_reader(data_folder / "vendor" / "test_TEM.bcf") if one["data"].ndim == 3
    )
    axis = map_["axes"][2]
    energies = axis["offset"] + axis["scale"] * np.arange(axis["size"])
    found = suggest_lines(map_["data"].sum(axis=(0, 1)).astype(float), energies)
    certain = {one.element for one in found if one.is_certain}
    assert {"Ti", "O"} <= certain <= {"Ti", "O", "Si", "N", "C", "Cu", "Pd"}


def test_silicon_and_aluminium_are_not_taken_for_heavy_elements_where_the_axis_is_off():
    """As in a real series: much platinum, and an energy axis that is off by 10 eV and 0.15 %."""
    shells = {
        "Pt_L": 1.8e6, "Pt_M": 2.6e6, "Ti_K": 7e5, "Cu_K": 7e5, "Cu_L": 8e4, "Fe_K": 3.3e5, "Fe_L": 8e4,
        "O_K": 8e5, "C_K": 4e5, "Mg_K": 3.8e5, "Si_K": 3.7e5, "Al_K": 6e4, "Ca_K": 3e4,
    }  # fmt: skip
    axis = (_ENERGIES - 0.010) / 1.0015
    mean = 5e6 * kramers_shapes(_ENERGIES)[2]
    for name, counts in shells.items():
        mean = mean + counts * line_shape(*name.split("_"), axis)
    spectrum = np.random.default_rng(0).poisson(mean).astype(float)
    certain = {one.element for one in suggest_lines(spectrum, _ENERGIES) if one.is_certain}
    assert certain == {name.split("_")[0] for name in shells}
