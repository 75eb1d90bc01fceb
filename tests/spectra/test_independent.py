"""Spectra of a generator that shares nothing with the program: own lines, background, detector and offset.

Energies (keV) are those of the X-ray Data Booklet (LBNL, 2009), table 1-2, Ka1 and Ka2 averaged 2 to 1.
Shares of K lines are those of xraylib 4.3 (magnesium: eXSpy 0.3), compared line by line; those of L lines are
rough.
"""

from __future__ import annotations

import numpy as np
import pytest

from chemtomo.data import SpectrumSeries
from chemtomo.spectra import element_maps, fit_spectrum, line_windows, suggest_lines
from chemtomo.spectra.fit import Response

_LINES = {
    "C_K": [(0.277, 1.0)],
    "O_K": [(0.525, 1.0)],
    "Mg_K": [(1.2536, 0.99), (1.3022, 0.01)],
    "Al_K": [(1.4866, 0.987), (1.5575, 0.013)],
    "Si_K": [(1.7398, 0.973), (1.8359, 0.027)],
    "Ca_K": [(3.6906, 0.888), (4.0127, 0.112)],
    "Ti_K": [(4.5089, 0.885), (4.9318, 0.115)],
    "Fe_K": [(6.3996, 0.882), (7.0580, 0.118)],
    "Fe_L": [(0.705, 0.88), (0.7185, 0.12)],
    "Cu_K": [(8.0413, 0.882), (8.9053, 0.118)],
    "Cu_L": [(0.9297, 0.88), (0.9498, 0.12)],
}
_TRUTH = {
    "C_K": 60_000, "O_K": 400_000, "Mg_K": 120_000, "Al_K": 40_000, "Si_K": 300_000, "Ca_K": 30_000,
    "Ti_K": 250_000, "Fe_K": 150_000, "Fe_L": 30_000, "Cu_K": 200_000, "Cu_L": 20_000,
}  # fmt: skip
_STEP, _OFFSET_OF_AXIS = 0.01, -0.2
_ENERGIES = _OFFSET_OF_AXIS + _STEP * np.arange(2000)


def _mean(truth: dict[str, float], background: float, offset: float, gain: float) -> np.ndarray:
    """Gaussians with a width law of its own on a background of Small's law with a cut-off."""
    real = np.maximum((_ENERGIES - offset) / gain, 1e-3)
    smooth = (200 / real - 1) ** 0.9 * (1 - np.exp(-((real / 0.35) ** 2))) * np.exp(-0.02 * real)
    smooth = np.where(_ENERGIES > 0.1, smooth, 0)
    mean = background * smooth / smooth.sum()
    for name, photons in truth.items():
        total = sum(share for _, share in _LINES[name])
        for energy, share in _LINES[name]:
            sigma = np.sqrt(0.020**2 + (0.0525**2) * energy / 5.9)
            place = offset + gain * energy
            shape = (
                np.exp(-((_ENERGIES - place) ** 2) / (2 * sigma**2)) * _STEP / (sigma * np.sqrt(2 * np.pi))
            )
            mean = mean + photons * share / total * shape
    return mean


@pytest.mark.parametrize(("offset", "gain"), [(0.0, 1.0), (0.010, 1.0015), (-0.008, 0.999)])
def test_photons_are_those_of_the_truth_within_three_deviations_or_five_per_cent(offset, gain):
    spectrum = np.random.default_rng(3).poisson(_mean(_TRUTH, 2e6, offset, gain)).astype(float)
    model = fit_spectrum(spectrum, _ENERGIES, {name.split("_")[0] for name in _TRUTH})
    found = dict(zip(model.names, model.amplitudes, strict=True))
    used = model.shapes[:, model.fitted]
    deviations = np.sqrt(np.diag(np.linalg.pinv((used * model.weights) @ used.T)))
    deviation = dict(zip(model.names, deviations, strict=True))
    told = dict(zip(model.names, model.deviations, strict=True))
    for name, photons in _TRUTH.items():
        if name.endswith("_K"):
            allowed = max(3 * deviation[name], 0.05 * photons)
            assert found[name] == pytest.approx(photons, abs=allowed), name
            # What is told of it holds, and is no smaller than the statistics.
            assert found[name] == pytest.approx(photons, abs=3.5 * told[name]), name
            assert told[name] >= 0.9 * deviation[name], name
    assert model.response.position_keV(6.4) == pytest.approx(offset + 6.4 * gain, abs=0.003)


def test_few_photons_of_light_elements_are_not_too_few():
    """The lines themselves do not say here how many photons are in the beta lines: the tables do."""
    truth = {"Mg_K": 1500.0, "Al_K": 1500.0, "Si_K": 1500.0}
    rng = np.random.default_rng(8)
    sums = dict.fromkeys(truth, 0.0)
    for _ in range(12):
        spectrum = rng.poisson(_mean(truth, 3_000, 0.0, 1.0)).astype(float)
        model = fit_spectrum(spectrum, _ENERGIES, ("Mg", "Al", "Si"), response=Response())
        for name, photons in zip(model.names, model.amplitudes, strict=True):
            if name in sums:
                sums[name] += photons / 12
    for name, photons in truth.items():
        assert sums[name] == pytest.approx(photons, rel=0.04), name


@pytest.mark.parametrize(("offset", "gain"), [(0.0, 1.0), (0.010, 1.0015)])
def test_its_elements_are_found_without_a_list_and_no_others(offset, gain):
    spectrum = np.random.default_rng(4).poisson(_mean(_TRUTH, 2e6, offset, gain)).astype(float)
    found = suggest_lines(spectrum, _ENERGIES)
    assert {one.element for one in found if one.is_certain} == {name.split("_")[0] for name in _TRUTH}


def test_net_counts_of_every_tilt_are_those_of_the_truth_as_its_deviation_says():
    """Twelve tilts with different amounts of iron beside silicon, copper and oxygen."""
    rng = np.random.default_rng(5)
    amounts = np.linspace(4_000, 12_000, 12)
    parts = [{"Fe_K": one, "Si_K": 8_000.0, "Cu_K": 9_000.0, "O_K": 9_000.0} for one in amounts]
    means = np.array([_mean(one, 40_000.0, 0.0, 1.0) for one in parts]) / 16
    data = rng.poisson(means[:, np.newaxis, np.newaxis], (12, 4, 4, len(_ENERGIES))).astype(np.uint16)
    series = SpectrumSeries("EDX", data, np.linspace(-55, 55, 12), _OFFSET_OF_AXIS, _STEP, 1.0)
    windows = line_windows(series, ("Fe",))
    (made,) = element_maps(series, windows, method="fit", others=("Si", "Cu", "O"))
    told = made.provenance[-1]
    sigma = np.sqrt(0.020**2 + 0.0525**2 * 6.4 / 5.9)
    inside = (windows[0].low_keV <= _ENERGIES) & (windows[0].high_keV > _ENERGIES)
    shape = np.exp(-((_ENERGIES - 6.3996) ** 2) / (2 * sigma**2)) * _STEP / (sigma * np.sqrt(2 * np.pi))
    expected = amounts * 0.88 * shape[inside].sum()
    pulls = (np.array(told["net_counts"]) - expected) / np.array(told["net_counts_deviation"])
    assert np.abs(pulls).max() < 4
    assert 0.4 < pulls.std() < 1.7
