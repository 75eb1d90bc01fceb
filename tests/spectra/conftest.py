"""Spectra with a known truth: lines of elements on a background, and Poisson noise."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from chemtomo.data import SpectrumSeries
from chemtomo.spectra import kramers_shapes, line_shape

ENERGIES = 0.01 * np.arange(1200)


@dataclasses.dataclass(frozen=True)
class Specimen:
    """Spectra, and how many counts of each component are expected in every pixel."""

    series: SpectrumSeries
    expected: dict[str, np.ndarray]
    """Expected counts of a component, shape (tilt, y, x), such as ``"Fe_K"`` or ``"background"``."""
    shapes: dict[str, np.ndarray]

    def in_window(self, component: str, low: float, high: float) -> np.ndarray:
        """Return the expected counts of a component in a window, shape (tilt, y, x)."""
        start, stop = np.searchsorted(ENERGIES, [low, high])
        return self.expected[component] * self.shapes[component][start:stop].sum()


def make_specimen(
    amounts: dict[str, float], background: float, *, shape=(2, 12, 16), seed=5, pattern=True
) -> Specimen:
    """Simulate spectra.

    Parameters
    ----------
    amounts : dict
        Mean expected photons of a shell (``"Fe_K"``) in a pixel.
    background : float
        Mean expected photons of the bremsstrahlung in a pixel.
    pattern : bool
        Whether the elements are unevenly distributed, each in its own way.
    """
    rng = np.random.default_rng(seed)
    shapes = {name: line_shape(*name.split("_"), ENERGIES) for name in amounts}
    shapes["background"] = kramers_shapes(ENERGIES)[2]
    tilts, height, width = shape
    y, x = np.mgrid[:height, :width]
    expected = {}
    for number, (name, amount) in enumerate({**amounts, "background": background}.items()):
        wave = 1 + 0.8 * np.sin(2 * np.pi * x / width + number) * np.cos(2 * np.pi * y / height + 2 * number)
        one = amount * wave if pattern and name != "background" else np.full((height, width), amount)
        expected[name] = np.broadcast_to(one, shape).astype(float)
    mean = sum(expected[name][..., np.newaxis] * shapes[name] for name in shapes)
    series = SpectrumSeries(
        "EDX", rng.poisson(mean).astype(np.uint16), np.linspace(-30.0, 30.0, tilts), 0.0, 0.01, 2.0
    )
    return Specimen(series, expected, shapes)


@pytest.fixture(scope="session")
def specimen() -> Specimen:
    """Fe and Cu far apart, with Co of which the Ka line falls on the Kb line of Fe."""
    return make_specimen({"Fe_K": 60.0, "Co_K": 20.0, "Cu_K": 15.0, "Fe_L": 10.0, "O_K": 30.0}, 200.0)


def write_spectra(series: SpectrumSeries, path: Path) -> Path:
    """Write spectra as HyperSpy does."""
    from rsciio.hspy import file_writer

    tilt_step = float(series.tilts_deg[-1] - series.tilts_deg[0]) / max(1, series.shape[0] - 1)
    pixel = series.pixel_size_nm
    axes = [
        {
            "_type": "UniformDataAxis",
            "name": name,
            "units": unit,
            "size": size,
            "scale": scale,
            "offset": offset,
            "navigate": name != "Energy",
        }
        for size, (name, unit, scale, offset) in zip(
            series.shape,
            (
                ("tilt", "degree", tilt_step, float(series.tilts_deg[0])),
                ("y", "nm", pixel, 0.0),
                ("x", "nm", pixel, 0.0),
                ("Energy", "keV", series.energy_step_keV, series.energy_offset_keV),
            ),
            strict=True,
        )
    ]
    signal = {
        "data": series.data,
        "axes": axes,
        "metadata": {"General": {"title": series.name}, "Signal": {"signal_type": "EDS_TEM"}},
        "attributes": {"_lazy": False},
    }
    rest = ("original_metadata", "package_info", "models", "tmp_parameters", "learning_results")
    file_writer(str(path), signal | {name: {} for name in rest})
    return path
