from __future__ import annotations

import numpy as np
import pytest
from tests.spectra.conftest import make_specimen

from chemtomo import maps
from chemtomo.errors import ParameterError
from chemtomo.pipeline.jobs.maps import (
    make_maps,
    make_maps_job,
    preview_job,
    suggest_job,
    windows_of,
)
from chemtomo.progress import finish
from chemtomo.spectra import suggest
from chemtomo.spectra.parameters import MapParameters


@pytest.fixture(scope="module")
def specimen():
    return make_specimen({"Fe_K": 60.0, "Cu_K": 40.0, "O_K": 30.0}, 100.0)


def test_what_stands_out_is_mapped_when_nothing_is_named(specimen):
    assert set(make_maps(specimen.series, MapParameters()).names) == {"Fe", "Cu", "O"}
    without = make_maps(specimen.series, MapParameters(others=("Cu",)))
    assert set(without.names) == {"Fe", "O"}


def test_elements_and_lines_are_mapped_in_their_order(specimen):
    made = make_maps(
        specimen.series,
        MapParameters(
            elements=("O", "Fe"),
            lines=("Fe_Kb",),
        ),
    )
    assert made.names == ("O", "Fe_Ka", "Fe_Kb")


def test_other_elements_keep_the_background_away(specimen):
    (plain,) = windows_of(specimen.series, ["Cu"], MapParameters())
    (aware,) = windows_of(specimen.series, ["Cu"], MapParameters(others=("Co",)))
    assert plain.background != aware.background
    assert (plain.low_keV, plain.high_keV) == (aware.low_keV, aware.high_keV)


def test_a_fit_takes_what_stands_out_with_it():
    """Co Ka is on Fe Kb: without the iron in the fit, a map of cobalt alone would show it."""
    made = make_specimen({"Fe_K": 150.0, "Co_K": 12.0}, 100.0, shape=(2, 16, 16), seed=8)
    alone = make_maps(made.series, MapParameters(method="fit", lines=("Co_Ka",)))["Co"]
    named = make_maps(made.series, MapParameters(method="fit", lines=("Co_Ka",), others=("Fe",)))["Co"]
    assert "Fe_K" in alone.provenance[-1]["did"][-1]["fitted"]
    np.testing.assert_array_equal(alone.background, named.background)


def test_subtracted_maps_are_no_counts(specimen):
    kept = make_maps(specimen.series, MapParameters(elements=("Fe",)))["Fe"]
    net = make_maps(specimen.series, MapParameters(elements=("Fe",), subtract=True))["Fe"]
    assert (kept.kind, net.kind) == ("counts", "intensity")
    assert net.background is None
    np.testing.assert_allclose(net.data, kept.data - kept.background, atol=1e-4)
    assert net.provenance[-1]["did"][-1]["step"] == "subtract_background"


def test_suggestions_come_with_the_sum_spectrum(specimen):
    spectrum, found = finish(suggest_job(specimen.series, MapParameters()))
    np.testing.assert_array_equal(spectrum, specimen.series.data.sum(axis=(0, 1, 2)))
    assert {one.element for one in found} == {"Fe", "Cu", "O"}
    with_it = make_maps(specimen.series, MapParameters(), spectrum=spectrum)
    assert set(with_it.names) == {"Fe", "Cu", "O"}


def test_components_are_made_by_the_same_step(specimen):
    made = make_maps(specimen.series, MapParameters(method="nmf", components=2, low_kev=1.0))
    assert made.names == ("Component 1", "Component 2")
    assert made.series[0].provenance[-1]["did"][-1]["range_keV"][0] == pytest.approx(1.0, abs=0.01)


def test_nothing_to_map_is_said(specimen):
    empty = specimen.series.replace(data=np.zeros_like(specimen.series.data))
    with pytest.raises(ParameterError, match="found no line above the background"):
        make_maps(empty, MapParameters())


def test_a_stop_gives_nothing(specimen):
    assert finish(make_maps_job(specimen.series, MapParameters(), should_stop=lambda: True)) is None


def test_maps_in_one_call_are_those_of_the_command_line(specimen):
    made = maps(specimen.series, elements=["O", "Fe"], others=["Cu"])
    expected = make_maps(
        specimen.series,
        MapParameters(
            elements=(
                "O",
                "Fe",
            ),
            others=("Cu",),
        ),
    )
    assert made.names == expected.names
    for one, other in zip(made, expected, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
        np.testing.assert_array_equal(one.background, other.background)
    with pytest.raises(ParameterError, match=r"width: .*; found -1"):
        maps(specimen.series, elements=("Fe",), width=-1)
    with pytest.raises(ParameterError, match="elemnts"):
        maps(specimen.series, elemnts="Fe")


def test_an_empty_map_says_so(specimen):
    series = specimen.series.replace(data=np.zeros_like(specimen.series.data))
    assert any("Fe: no counts in its window" in note for note in maps(series, elements=("Fe",))["Fe"].notes)
    full = maps(specimen.series, elements=("Fe",))["Fe"].notes
    assert not any("no counts" in note for note in full)


def test_auto_fits_where_lines_overlap_and_keeps_the_net_counts():
    made = make_specimen({"Fe_K": 150.0, "Co_K": 12.0}, 100.0, shape=(2, 16, 16), seed=8)
    for one in make_maps(made.series, MapParameters(elements=("Fe", "Co"))):
        told = next(entry for entry in reversed(one.provenance) if "line" in str(entry))
        assert "fit" in str(told)
        assert one.background.min() >= 0
        assert one.background.sum(dtype=float) < one.data.sum()


def test_a_map_with_more_background_than_counts_is_left_out_and_said():
    made = make_specimen({"Fe_K": 400.0, "O_K": 30.0}, 100.0, shape=(2, 16, 16), seed=3)
    found = make_maps(made.series, MapParameters(elements=("Fe", "Ni", "Mn", "Zn"), method="fit"))
    assert "Fe" in found.names
    for one in found:
        assert one.background.sum(dtype=float) <= one.data.sum()
    missing = {"Fe", "Ni", "Mn", "Zn"} - set(found.names)
    assert missing
    assert all(any(name in note for note in found["Fe"].notes) for name in missing)


def test_the_search_runs_once(monkeypatch):
    from chemtomo.pipeline.jobs import maps as jobs

    searches = []
    monkeypatch.setattr(jobs, "suggest", lambda *one, **more: searches.append(one) or suggest(*one, **more))
    made = make_specimen({"Fe_K": 150.0, "Co_K": 40.0}, 100.0, shape=(2, 16, 16), seed=8)
    spectrum, found = finish(jobs.suggest_job(made.series, MapParameters()))
    assert len(searches) == 1
    known = make_maps(made.series, MapParameters(), spectrum=spectrum, suggestions=found)
    assert len(searches) == 1
    alone = make_maps(made.series, MapParameters())
    assert len(searches) == 2
    for one, other in zip(alone, known, strict=True):
        np.testing.assert_array_equal(one.background, other.background)


def test_auto_looks_at_the_elements_that_the_spectrum_shows():
    """Mn Kb is in the window of Fe Ka; nobody named manganese."""
    methods = {}
    for name, amounts in {"alone": {"Fe_K": 150.0}, "with Mn": {"Fe_K": 150.0, "Mn_K": 150.0}}.items():
        made = make_specimen(amounts, 100.0, shape=(2, 16, 16), seed=8)
        (one,) = make_maps(made.series, MapParameters(elements=("Fe",)))
        methods[name] = one.provenance[-1]["did"][-1]["method"]
    assert methods == {"alone": "window", "with Mn": "fit"}


def test_the_preview_of_auto_is_that_of_the_method_which_will_be_used():
    made = make_specimen({"Fe_K": 150.0, "Mn_K": 150.0}, 100.0, shape=(2, 16, 16), seed=8)
    spectrum, found = finish(suggest_job(made.series, MapParameters()))
    (window,) = windows_of(made.series, ("Fe",), MapParameters())
    maps_of = {}
    for method in ("auto", "fit", "window"):
        parameters = MapParameters(method=method)
        maps_of[method] = finish(
            preview_job(made.series, parameters, window, 0, spectrum=spectrum, suggestions=found)
        )
    np.testing.assert_array_equal(maps_of["auto"], maps_of["fit"])
    assert not np.allclose(maps_of["auto"], maps_of["window"])
