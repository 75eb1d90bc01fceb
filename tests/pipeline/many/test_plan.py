"""Which results are made of a recipe, data sets and settings, and what they are called."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from chemtomo.errors import ParameterError
from chemtomo.pipeline import Recipe
from chemtomo.pipeline.many import plan_runs


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.from_toml('version=1\n[[inputs]]\npaths=["a.mrc"]\n[[steps]]\nstep="reconstruct"\n')


def outputs(runs) -> list[str]:
    return [Path(run.output).name for run in runs]


def test_every_data_set_with_every_combination(recipe):
    grid = {"reconstruct.strength": [0.5, "2"], "reconstruct.method": ["tv", "tgv"]}
    runs = plan_runs(recipe, "out", data_sets=["x/a", "x/b"], grid=grid)
    assert outputs(runs) == [
        f"{name}_strength={strength}_method={method}.zarr"
        for name in "ab"
        for strength in ("0.5", "2")
        for method in ("tv", "tgv")
    ]
    last = Recipe.from_json(runs[-1].recipe).steps[-1].parameters
    assert (last.strength, last.method) == (2.0, "tgv")
    assert all(Path(run.output).parent == Path.cwd() / "out" for run in runs)
    assert runs[-1].path == str(Path.cwd() / "x" / "b")


def test_the_files_of_the_recipe_itself(recipe):
    (run,) = plan_runs(recipe, "out", name="sample")
    assert (run.path, outputs([run])) == (None, ["sample.zarr"])


def test_patterns_name_results(recipe):
    runs = plan_runs(
        recipe,
        "out/{data}/v_{reconstruct.slices}.ome.tif",
        data_sets=["a.zarr"],
        grid={"reconstruct.slices": ["1:3"]},
    )
    assert Path(runs[0].output) == Path.cwd() / "out" / "a" / "v_1-3.ome.tif"


def test_data_sets_of_the_same_name_are_told_apart_by_their_folders(recipe):
    runs = plan_runs(recipe, "out", data_sets=["one/raw", "two/raw", "two/other.ome.tif"])
    assert outputs(runs) == ["one_raw.zarr", "two_raw.zarr", "other.zarr"]


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join),
        min_size=1,
        max_size=6,
        unique=True,
    )
)
def test_different_data_sets_have_different_names(paths):
    recipe = Recipe()
    runs = plan_runs(recipe, "out", data_sets=paths)
    assert len({run.data for run in runs}) == len(paths)
    assert all(run.data.endswith(Path(path).name) for run, path in zip(runs, paths, strict=True))


@pytest.mark.parametrize(
    ("output", "grid", "data_sets", "said"),
    [
        ("out", {"reconstruct.strenght": [1]}, [], "reconstruct has no 'strenght'"),
        ("out", {"reconstruct.strength": [1, 0]}, [], "strength: .*greater than 0; found 0"),
        ("out", {"reconstruct.strength": []}, [], "found no values; expected at least one"),
        ("out", {"reconstruct.strength": [1, 1]}, [], "found two results with this name"),
        ("out/v.zarr", {}, ["a", "b"], "found two results with this name, of a and of b"),
        ("out", {}, ["a", "a"], "found two results with this name"),
        ("{data}_{strength}.mrc", {"reconstruct.strength": [1]}, [], r"found \{strength\}; expected one of"),
        ("out/{data}", {}, ["a"], "without the ending of a format"),
    ],
)
def test_what_cannot_be_planned_is_refused_before_anything_runs(recipe, output, grid, data_sets, said):
    with pytest.raises(ParameterError, match=said):
        plan_runs(recipe, output, data_sets=data_sets, grid=grid)
