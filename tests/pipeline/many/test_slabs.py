"""One volume in slabs: equal to that in one piece, and not begun again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import chemtomo
from chemtomo.errors import ParameterError
from chemtomo.io import read_volume, write_dataset
from chemtomo.pipeline import Recipe
from chemtomo.pipeline.many import plan_runs, run_in_slabs_job
from chemtomo.pipeline.recipes.recipe import with_settings
from chemtomo.progress import finish

SLICES = 24


@pytest.fixture
def recipe(recipe, tmp_path) -> Recipe:
    (tmp_path / "s0").mkdir()
    write_dataset(chemtomo.phantom((SLICES, 16), tilts=6), tmp_path / "s0" / "series.zarr")
    return recipe


def made_in_slabs(recipe, output, count, **options):
    (run,) = plan_runs(recipe, output)
    return finish(run_in_slabs_job(run, count, **options))


@pytest.mark.parametrize(("count", "slices"), [(1, None), (3, None), (5, "3:20"), (99, "2:6")])
def test_slices_that_do_not_depend_on_each_other_are_equal(recipe, tmp_path, count, slices):
    recipe = with_settings(recipe, [("reconstruct.slices", slices)] if slices else [])
    *slabs, whole = made_in_slabs(recipe, tmp_path / "v.zarr", count)
    assert {one.became for one in (*slabs, whole)} == {"made"}
    expected = chemtomo.run(recipe)
    found = read_volume(tmp_path / "v.zarr")
    assert len(slabs) == min(count, expected.shape[1])
    np.testing.assert_array_equal(found.data, expected.data)
    assert (found.names, found.origin_px) == (expected.names, expected.origin_px)
    left_out = ("made_from",)
    assert {key: one for key, one in found.provenance.items() if key not in left_out} == expected.provenance
    assert not list(tmp_path.glob(".*"))
    (again,) = made_in_slabs(recipe, tmp_path / "v.zarr", count)
    assert again.became == "there already"


def test_with_derivatives_across_slices_the_overlap_is_enough(recipe, tmp_path):
    settings = {"method": "tv", "iterations": 100, "tolerance": 0, "strength": 1}
    recipe = with_settings(recipe, [(f"reconstruct.{name}", value) for name, value in settings.items()])
    made_in_slabs(recipe, tmp_path / "v.zarr", 2)
    found = read_volume(tmp_path / "v.zarr").data
    expected = chemtomo.run(recipe).data
    for one, other in zip(found, expected, strict=True):
        assert np.linalg.norm(one - other) < 0.02 * np.linalg.norm(other)


def test_after_a_stop_it_goes_on_where_it_was(recipe, tmp_path):
    seen: list[str] = []
    outcomes = made_in_slabs(
        recipe,
        tmp_path / "v.zarr",
        3,
        on_outcome=lambda one: seen.append(one.became),
        should_stop=lambda: bool(seen),
    )
    assert [one.became for one in outcomes] == ["made", "cancelled", "cancelled", "cancelled"]
    assert not (tmp_path / "v.zarr").exists()
    series = tmp_path / ".v.zarr.slabs" / "series.zarr"
    before = series.stat().st_mtime_ns
    stopped: list[int] = []

    def look(outcome) -> None:
        if series.exists():
            stopped.append(series.stat().st_mtime_ns)

    outcomes = made_in_slabs(recipe, tmp_path / "v.zarr", 3, on_outcome=look)
    assert [one.became for one in outcomes] == ["there already", "made", "made", "made"]
    assert set(stopped) == {before}
    np.testing.assert_array_equal(read_volume(tmp_path / "v.zarr").data, chemtomo.run(recipe).data)


def test_slabs_on_two_workers(recipe, tmp_path):
    pytest.importorskip("distributed")
    *slabs, whole = made_in_slabs(recipe, tmp_path / "v.zarr", 2, workers=2)
    assert whole.became == "made"
    assert len({one.worker for one in slabs}) == 2
    np.testing.assert_array_equal(read_volume(tmp_path / "v.zarr").data, chemtomo.run(recipe).data)


def test_recipes_without_slabs(recipe, tmp_path):
    for other in (
        Recipe(recipe.inputs, recipe.steps[:1]),
        with_settings(recipe, [("reconstruct.preview", True)]),
    ):
        with pytest.raises(ParameterError, match="found no full reconstruction at the end"):
            made_in_slabs(other, tmp_path / "v.zarr", 2)


def test_inputs_are_never_written(recipe, tmp_path):
    shutil.copytree(tmp_path / "s0", tmp_path / "copy")
    with pytest.raises(chemtomo.errors.WriteError, match="inputs are never written"):
        made_in_slabs(recipe, Path(recipe.inputs[0].paths[0]), 2)
