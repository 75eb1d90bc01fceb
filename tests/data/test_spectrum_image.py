"""Spectra of a tilt series: what fits together, and what is lazy."""

import dask.array
import numpy as np
import pytest

from chemtomo.data import EnergyAxis, SpectrumSeries
from chemtomo.errors import DataError


def _series(**changes) -> SpectrumSeries:
    given = {
        "name": "EDX",
        "data": np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5),
        "tilts_deg": [-30.0, 30.0],
        "energy_offset_keV": -0.1,
        "energy_step_keV": 0.01,
    }
    return SpectrumSeries(**{**given, **changes})


def test_energies_start_at_the_offset_and_go_in_steps():
    energies = _series().energies_keV
    np.testing.assert_allclose(energies, [-0.1, -0.09, -0.08, -0.07, -0.06])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": np.zeros((2, 3, 4))}, "four axes"),
        ({"data": np.zeros((2, 3, 0, 5))}, "no empty axis"),
        ({"data": np.zeros((2, 3, 4, 5), complex)}, "real numbers"),
        ({"tilts_deg": [0.0]}, "1 tilts for 2"),
        ({"tilts_deg": [0.0, np.nan]}, "not finite"),
        ({"energy_step_keV": 0.0}, "positive"),
        ({"energy_offset_keV": np.inf}, "finite energy"),
        ({"pixel_size_nm": -1.0}, "pixel size"),
        ({"signal": "XRF"}, "'EDX' or 'EELS'"),
        ({"name": " "}, "name"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        _series(**changes)


def test_sum_images_do_not_overflow():
    series = _series(data=np.full((2, 3, 4, 5), 255, np.uint8))
    assert (series.sum_images() == 5 * 255).all()


def test_lazy_data_stay_lazy_until_one_image_is_asked_for():
    read = []

    def block(block_info=None):
        tilt = block_info[None]["chunk-location"][0]
        read.append(tilt)
        return np.ones((1, 3, 4, 5), np.uint16)

    data = dask.array.map_blocks(
        block, chunks=((1, 1, 1), (3,), (4,), (5,)), dtype=np.uint16, meta=np.empty((0,) * 4, np.uint16)
    )
    series = _series(data=data, tilts_deg=[0, 1, 2])
    assert series.is_lazy
    sums = series.sum_images()
    assert read == []
    np.testing.assert_array_equal(np.asarray(sums[1]), np.full((3, 4), 5))
    assert read == [1]
    assert next(series.spectrum_images()).shape == (3, 4, 5)


def test_an_energy_axis_has_a_direction():
    with pytest.raises(DataError, match="positive"):
        EnergyAxis(0.0, -1.0)
