"""The spectrum images of a real Velox file, and the maps that its maker's program stored beside them."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from chemtomo.io import read, read_spectra
from chemtomo.pipeline.jobs.maps import make_maps
from chemtomo.spectra import suggest, sum_spectrum
from chemtomo.spectra.parameters import MapParameters


@pytest.fixture(scope="module")
def velox(data_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("velox")
    with zipfile.ZipFile(data_folder / "vendor" / "velox_EELS_EDS.zip") as archive:
        archive.extractall(folder)
    (path,) = folder.glob("*.emd")
    return path


def test_the_x_ray_maps_are_those_of_the_file(velox):
    """The file was recorded without a sample: but for the noise peak at 0 keV there are two photons.

    The program of the maker logged that the counts are too few to be quantified, and stored maps of Fe, Co
    and O that are zero. So are ours, in every pixel; there is no correlation of zeros.
    """
    series = read_spectra(velox)
    stored = read(velox)
    made = make_maps(
        series,
        MapParameters(
            elements=(
                "Fe",
                "Co",
                "O",
            )
        ),
    )
    assert made.names == ("Fe", "Co", "O")
    for element in made.names:
        assert not made[element].data.any()
        assert not made[element].background.any()
        maps = [one for one in stored if one.name.split()[0] == element or one.name == element]
        assert maps, f"no map of {element} among {stored.names}"
        assert any(not one.values().any() for one in maps)
    assert sum_spectrum(series)[series.energies_keV > 0.15].sum() == 2
    assert suggest(series, sum_spectrum(series)) == []


@pytest.mark.parametrize(("element", "onset"), [("O", 532), ("Fe", 708), ("Co", 779)])
def test_the_energy_losses_have_no_edges(velox, element, onset):
    """The stored maps of the energy losses are the size of fits to noise.

    In the sum of all spectra no edge stands out by three standard deviations of the scatter, so no method
    can make a map that says anything of the element, and none has to agree with another.
    """
    series = read_spectra(velox, signal="EELS 480")
    total = sum_spectrum(series)
    losses = 1000 * series.energies_keV
    before, behind = (losses > onset - 45) & (losses < onset - 5), (losses > onset) & (losses < onset + 40)
    noise = np.diff(total).std() / np.sqrt(2) * np.sqrt(1 / before.sum() + 1 / behind.sum())
    assert abs(total[behind].mean() - total[before].mean()) < 3 * noise
    assert suggest(series, total) == []
