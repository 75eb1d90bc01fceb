from __future__ import annotations

import dask.array
import numpy as np
import pytest
from tests.spectra.conftest import ENERGIES, make_specimen

from chemtomo.errors import DataError, ParameterError
from chemtomo.progress import finish
from chemtomo.spectra import decompose, decompose_job


@pytest.fixture(scope="module")
def mixture():
    """Two phases with spectra of their own, and no other background."""
    return make_specimen({"Fe_K": 150.0, "Ti_K": 100.0}, 5.0, shape=(3, 16, 20), seed=3)


def _correlation(one, other) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_nmf_finds_the_phases_and_their_spectra(mixture):
    found = decompose(mixture.series, 2)
    assert found.dataset.names == ("Component 1", "Component 2")
    for component in ("Fe_K", "Ti_K"):
        spectra = [_correlation(one, mixture.shapes[component]) for one in found.spectra]
        best = int(np.argmax(spectra))
        assert spectra[best] > 0.97
        assert _correlation(found.dataset.series[best].data, mixture.expected[component]) > 0.95
    assert 0 < found.explained <= 1


def test_the_loadings_of_nmf_are_counts(mixture):
    found = decompose(mixture.series, 2)
    np.testing.assert_allclose(found.spectra.sum(axis=1), 1.0)
    total = sum(float(one.data.sum(dtype=float)) for one in found.dataset)
    used = mixture.series.data[..., ENERGIES >= 0.15].sum()
    assert total == pytest.approx(used, rel=0.05)
    assert all(one.data.min() >= 0 and one.kind == "intensity" for one in found.dataset)


def test_the_components_of_pca_vary_less_and_less(mixture):
    found = decompose(mixture.series, 4, method="pca")
    spread = [float(one.data.std()) for one in found.dataset]
    assert spread == sorted(spread, reverse=True)
    # Two phases vary in two ways; the rest is noise.
    assert spread[1] > 2 * spread[2]


def test_the_same_seed_gives_the_same_components_lazy_or_not(mixture):
    lazy = mixture.series.replace(data=dask.array.from_array(mixture.series.data, chunks=(1, 5, 20, 1200)))
    once, again = decompose(mixture.series, 2, seed=7), decompose(lazy, 2, seed=7)
    np.testing.assert_allclose(once.spectra, again.spectra, atol=1e-4)


def test_a_range_leaves_the_other_energies_out(mixture):
    found = decompose(mixture.series, 2, range_keV=(4.0, 8.0))
    low, high = found.dataset.series[0].provenance[-1]["range_keV"]
    assert 4.0 <= low < high < 8.0


def test_names_can_be_given(mixture):
    found = decompose(mixture.series, 2).renamed(("iron", "titanium"))
    assert found.dataset.names == ("iron", "titanium")
    with pytest.raises(ParameterError, match="2, one per component"):
        found.renamed(("one",))


def test_what_cannot_be_is_refused(mixture):
    with pytest.raises(ParameterError, match="components; expected 1 to"):
        decompose(mixture.series, 2000)
    with pytest.raises(ParameterError, match="found 0 channels"):
        decompose(mixture.series, 2, range_keV=(50.0, 60.0))
    with pytest.raises(DataError, match="no counts"):
        decompose(mixture.series.replace(data=np.zeros_like(mixture.series.data)), 2)
    negative = mixture.series.data.astype(np.float32) - 1
    with pytest.raises(DataError, match="negative"):
        decompose(mixture.series.replace(data=negative), 2)


def test_it_can_be_stopped(mixture):
    seen = []
    assert finish(decompose_job(mixture.series, 2, should_stop=lambda: len(seen) > 3), seen.append) is None
    assert 0 < len(seen) < seen[-1].total
