"""Many runs in this process: one that fails, what is there already, and a stop."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import chemtomo
from chemtomo.errors import ParameterError
from chemtomo.io import read, read_volume, write_dataset
from chemtomo.pipeline import Recipe, many
from chemtomo.pipeline.keeping.cache import Cache
from chemtomo.pipeline.many import plan_runs, run_many_job
from chemtomo.pipeline.recipes.recipe import Entry, with_settings
from chemtomo.pipeline.steps import STEPS
from chemtomo.progress import finish


def became(runs, **options) -> list[str]:
    return [one.became for one in finish(run_many_job(runs, **options))]


def files_in(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_result_is_that_of_a_single_run_and_holds_its_recipe(recipe, data_sets, tmp_path):
    folders = data_sets(2)
    outcomes = finish(run_many_job(plan_runs(recipe, tmp_path / "out", data_sets=folders)))
    assert [one.became for one in outcomes] == ["made", "made"]
    for folder, outcome in zip(folders, outcomes, strict=True):
        volume = read_volume(outcome.run.output)
        again = chemtomo.run(Recipe.from_json(volume.provenance))
        np.testing.assert_array_equal(again.data, volume.data)
        assert volume.provenance["inputs"][0]["paths"] == [str(folder / "series.zarr")]
    first, second = (read_volume(one.run.output).data for one in outcomes)
    assert (first != second).any()


def test_one_that_fails_does_not_end_the_others(recipe, data_sets, tmp_path):
    folders = data_sets(3)
    shutil.rmtree(folders[0] / "series.zarr")
    outcomes = finish(
        run_many_job(plan_runs(recipe, tmp_path / "out", data_sets=[*folders, tmp_path / "no"]))
    )
    assert [one.became for one in outcomes] == ["failed", "made", "made", "failed"]
    assert str(folders[0]) in outcomes[0].message
    assert str(tmp_path / "no") in outcomes[3].message


@pytest.mark.parametrize("output", ["out", "out_{data}.mrc", "out_{data}.emd"])
def test_what_is_there_already_is_not_made_again(recipe, data_sets, tmp_path, output):
    runs = plan_runs(recipe, tmp_path / output, data_sets=data_sets(2))
    assert became(runs) == ["made", "made"]
    before = files_in(tmp_path)
    assert became(runs) == ["there already", "there already"]
    assert files_in(tmp_path) == before


def test_a_part_of_a_result_is_no_result(recipe, data_sets, tmp_path):
    runs = plan_runs(recipe, tmp_path / "v.mrc", data_sets=data_sets(1), overwrite=True)
    assert became(runs) == ["made"]
    (tmp_path / "v_HAADF.mrc").unlink()
    assert became(runs) == ["made"]


def test_a_result_is_told_by_what_it_was_made_from_and_not_by_its_name(recipe, data_sets, tmp_path):
    (folder,) = data_sets(1)
    output = tmp_path / "out" / "v.zarr"
    assert became(plan_runs(recipe, output, data_sets=[folder])) == ["made"]
    other = with_settings(recipe, [("reconstruct.iterations", 4)])
    (refused,) = finish(run_many_job(plan_runs(other, output, data_sets=[folder])))
    assert refused.became == "failed"
    assert "exists already" in refused.message
    again = plan_runs(other, output, data_sets=[folder], overwrite=True)
    assert became(again) == ["made"]
    assert became(again) == ["there already"]
    shutil.move(folder, tmp_path / "moved")
    moved = plan_runs(other, output, data_sets=[tmp_path / "moved"], overwrite=True)
    assert became(moved) == ["there already"]  # the same values
    write_dataset(
        chemtomo.phantom((4, 16), tilts=4, seed=9), tmp_path / "moved" / "series.zarr", overwrite=True
    )
    assert became(moved) == ["made"]


def test_tilt_series_are_results_too(recipe, data_sets, tmp_path):
    operations = Recipe(recipe.inputs, recipe.steps[:1])
    runs = plan_runs(operations, tmp_path / "out", data_sets=data_sets(1))
    assert became(runs) == ["made"]
    assert became(runs) == ["there already"]
    assert read(runs[0].output).series[0].data.min() >= 0


def test_a_single_file_under_another_name_is_a_data_set(recipe, data_sets, tmp_path):
    (folder,) = data_sets(1)
    file = (folder / "series.zarr").rename(tmp_path / "other.zarr")
    runs = plan_runs(recipe, tmp_path / "out", data_sets=[file])
    assert became(runs) == ["made"]
    assert Path(runs[0].output).name == "other.zarr"


def test_workers_without_dask(recipe, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "chemtomo.pipeline.many.cluster", raising=False)
    monkeypatch.delattr(many, "cluster", raising=False)
    with pytest.raises(ParameterError, match=r"expected pip install 'napari-chemtomo\[cluster\]'"):
        finish(run_many_job(plan_runs(recipe, tmp_path / "out"), workers=2))


def test_inputs_are_never_written(recipe, data_sets, tmp_path):
    (folder,) = data_sets(1)
    before = files_in(folder)
    (outcome,) = finish(
        run_many_job(plan_runs(recipe, folder / "series.zarr", data_sets=[folder], overwrite=True))
    )
    assert outcome.became == "failed"
    assert "inputs are never written" in outcome.message
    assert files_in(folder) == before


def test_a_stop_writes_nothing_more_and_says_so(recipe, data_sets, tmp_path):
    runs = plan_runs(recipe, tmp_path / "out", data_sets=data_sets(3))
    seen = []
    outcomes = finish(run_many_job(runs, on_outcome=seen.append, should_stop=lambda: bool(seen)))
    assert [one.became for one in outcomes] == ["made", "cancelled", "cancelled"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["s0.zarr"]
    assert became(runs) == ["there already", "made", "made"]


def aligned_first(recipe) -> Recipe:
    """The recipe with an alignment before the reconstruction."""
    align = Entry.of("align", {"method": "phase-correlation", "axis": "none"})
    return Recipe(recipe.inputs, (recipe.steps[0], align, recipe.steps[1]))


def test_a_grid_with_a_cache_aligns_once(recipe, data_sets, tmp_path, monkeypatch):
    data_sets(1)
    made = []
    align = STEPS["align"]

    def counted(*arguments):
        made.append(arguments)
        return (yield from align.job(*arguments))

    monkeypatch.setitem(STEPS, "align", dataclasses.replace(align, job=counted))
    grid = {"reconstruct.iterations": [1, 2, 3]}
    for cache, times in ((None, 3), (Cache(tmp_path / "cache"), 1)):
        made.clear()
        runs = plan_runs(aligned_first(recipe), tmp_path / f"out{times}", grid=grid, cache=cache)
        assert became(runs) == ["made"] * 3
        assert len(made) == times
    for number in (1, 2, 3):
        name = f"result_iterations={number}.zarr"
        one, other = (read_volume(tmp_path / folder / name) for folder in ("out1", "out3"))
        np.testing.assert_array_equal(one.data, other.data)
        assert one.provenance == other.provenance
