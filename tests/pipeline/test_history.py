"""What was done to data, as a recipe that repeats it: from files, in memory, and by chained steps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.spectra.conftest import make_specimen, write_spectra

import chemtomo
from chemtomo.data import Alignment, Dataset
from chemtomo.errors import ParameterError, ReadError
from chemtomo.pipeline import Recipe, State
from chemtomo.pipeline.jobs.maps import make_maps_job, windows_of
from chemtomo.pipeline.keeping.turn import Turn
from chemtomo.pipeline.recipes.history import recipe_of
from chemtomo.pipeline.recipes.recipe import Entry
from chemtomo.pipeline.recipes.script import to_script
from chemtomo.pipeline.runner import run_steps_job
from chemtomo.preprocess import bin_pixels
from chemtomo.progress import finish
from chemtomo.spectra.parameters import MapParameters

QUICK: dict[str, Any] = {"device": "numpy", "iterations": 3, "tolerance": 0, "method": "sirt"}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Four small tilt series in MRC files."""
    dataset = chemtomo.phantom((6, 24), tilts=9)
    return list(chemtomo.write_dataset(dataset, tmp_path / "recorded"))


def shifted(dataset: Dataset) -> Alignment:
    """An alignment of the first channel, as made by hand."""
    first = dataset.series[0]
    matrices = np.tile(np.eye(2, 3), (first.shape[0], 1, 1))
    matrices[:, 1, 2] = np.linspace(-0.7, 1.1, first.shape[0])
    return Alignment(
        first.name, first.tilts_deg, matrices, shape=first.shape[1:], pixel_size_nm=first.pixel_size_nm
    )


def prepared(dataset: Dataset) -> Dataset:
    return chemtomo.prepare(
        dataset,
        [{"step": "crop", "x": [2, 22]}, {"step": "background", "method": "otsu", "channels": ["HAADF"]}],
    )


def aligned(dataset: Dataset) -> Dataset:
    return chemtomo.align(dataset, method="phase-correlation", axis="none").dataset


def by_hand(dataset: Dataset) -> Dataset:
    return chemtomo.link(dataset, shifted(dataset))


def unrecorded(dataset: Dataset) -> Dataset:
    """Some channels get an alignment, past all steps; others are cropped before."""
    part = chemtomo.prepare(dataset, [{"step": "bin", "channels": ["Al", "Si"]}])
    part = Dataset(tuple(one for one in part if one.name in ("Al", "Si")))
    return part.with_alignment(shifted(part))


def apart(dataset: Dataset) -> Dataset:
    """Channels that were prepared one by one, as in a viewer, and come together in another order."""
    first = chemtomo.prepare(
        dataset.select(["HAADF"]), [{"step": "sort_tilts"}, {"step": "crop", "x": [3, 21]}]
    )
    second = chemtomo.prepare(
        dataset.select(["Al"]), [{"step": "crop", "x": [3, 21]}, {"step": "clip_negative"}]
    )
    return Dataset((*second, *first))


@pytest.mark.parametrize("change", [lambda dataset: dataset, prepared, aligned, by_hand, unrecorded, apart])
def test_a_result_is_repeated_by_its_recipe_and_by_its_script(
    files: list[Path], tmp_path: Path, change: Any
) -> None:
    volume = chemtomo.reconstruct(change(chemtomo.read(files)), **QUICK).volume
    recipe = Recipe.from_json(volume.provenance)
    assert [one.kind for one in recipe.inputs] == ["series"]
    recipe.save(tmp_path / "recipe.toml")
    again = chemtomo.run(tmp_path / "recipe.toml")
    np.testing.assert_array_equal(again.data, volume.data)
    assert again.names == volume.names
    assert again.provenance == volume.provenance
    script = tmp_path / "again.py"
    script.write_text(to_script(recipe), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    by_script = chemtomo.read_volume(tmp_path / "result.zarr")
    np.testing.assert_array_equal(by_script.data, volume.data)
    assert by_script.names == volume.names


def test_a_file_between_holds_the_recipe_so_far(files: list[Path], tmp_path: Path) -> None:
    whole = chemtomo.reconstruct(prepared(chemtomo.read(files)), **QUICK).volume
    chemtomo.write(prepared(chemtomo.read(files)), tmp_path / "between.zarr")
    between = chemtomo.read(tmp_path / "between.zarr")
    assert [one.step for one in recipe_of(between).steps] == ["crop", "background"]
    volume = chemtomo.reconstruct(between, **QUICK).volume
    assert volume.provenance["inputs"] == whole.provenance["inputs"]
    assert volume.provenance["steps"] == whole.provenance["steps"]
    np.testing.assert_array_equal(chemtomo.run(Recipe.from_json(volume.provenance)).data, volume.data)
    # Also when some of its channels are taken, in another order.
    part = chemtomo.reconstruct(between.select(["Si", "Al"]), **QUICK).volume
    np.testing.assert_array_equal(chemtomo.run(Recipe.from_json(part.provenance)).data, part.data)
    assert part.names == ("Si", "Al")


def test_a_file_that_lost_something_is_where_the_recipe_begins(files: list[Path], tmp_path: Path) -> None:
    counts = chemtomo.prepare(
        chemtomo.read(files).select(["Al"]), [{"step": "background", "method": "edges"}]
    )
    written = chemtomo.write(counts, tmp_path / "maps.mrc")
    assert written.notes  # no place for the background of counts
    again = chemtomo.read(written)
    recipe = recipe_of(again)
    assert recipe.inputs[0].paths == (str(tmp_path / "maps.mrc"),)
    assert recipe.steps == ()
    volume = chemtomo.reconstruct(again, **QUICK).volume
    np.testing.assert_array_equal(chemtomo.run(Recipe.from_json(volume.provenance)).data, volume.data)


def test_windows_that_were_set_by_hand_are_kept(tmp_path: Path) -> None:
    """As the dock *Element maps* makes maps: past the runner, with windows that were dragged."""
    series = make_specimen({"Fe_K": 60.0, "Cu_K": 40.0}, 100.0).series
    spectra = chemtomo.read_spectra(write_spectra(series, tmp_path / "spectra.hspy"))
    windows = list(windows_of(spectra, ["Fe", "Cu"], MapParameters()))
    windows[0] = windows[0].replace(low_keV=windows[0].low_keV - 0.05, name="iron")
    maps = finish(make_maps_job(spectra, MapParameters(), windows=windows))
    volume = chemtomo.reconstruct(maps.select(["iron"]), **QUICK).volume
    recipe = Recipe.from_json(volume.provenance)
    assert [one.step for one in recipe.steps] == ["maps", "select", "reconstruct"]
    again = chemtomo.run(Recipe.from_toml(recipe.to_toml()))
    assert again.names == ("iron",)
    np.testing.assert_array_equal(again.data, volume.data)


def test_inputs_that_changed_are_refused(files: list[Path], tmp_path: Path) -> None:
    dataset = chemtomo.read(files)
    recipe = Recipe.from_json(chemtomo.reconstruct(dataset, **QUICK).volume.provenance)
    other = dataset.map(lambda one: one.replace(data=one.data + (one.name == "Al")))
    chemtomo.write_dataset(other, tmp_path / "recorded", overwrite=True)
    with pytest.raises(ReadError, match=r"Al: found values and tilts with the SHA-256 .*; expected .*"):
        chemtomo.run(recipe)
    assert chemtomo.run(recipe, accept_changed=True).names == dataset.names


def test_tilts_that_changed_are_refused(files: list[Path]) -> None:
    recipe = Recipe.from_json(chemtomo.reconstruct(chemtomo.read(files), **QUICK).volume.provenance)
    tilts = files[0].with_suffix(".rawtlt")
    tilts.write_text(tilts.read_text().replace("-90", "-89"))
    with pytest.raises(ReadError, match="HAADF: found values and tilts"):
        chemtomo.run(recipe)


def test_files_in_another_folder(files: list[Path], tmp_path: Path) -> None:
    volume = chemtomo.reconstruct(chemtomo.read(files), **QUICK).volume
    recipe = Recipe.from_json(volume.provenance)
    moved = tmp_path / "moved"
    (tmp_path / "recorded").rename(moved)
    with pytest.raises(ReadError, match="no such file"):
        chemtomo.run(recipe)
    np.testing.assert_array_equal(chemtomo.run(recipe, inputs=moved).data, volume.data)
    with pytest.raises(ReadError, match=r"HAADF.mrc: no such file; expected it in"):
        chemtomo.run(recipe, inputs=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: bin_pixels(one, 2),
        lambda one: one.replace(data=one.data * 2),
        lambda one: one.replace(pixel_size_nm=3.0),
        lambda one: one.replace(kind="intensity"),
        lambda one: one.replace(tilts_deg=one.tilts_deg + 1),
    ],
)
def test_what_no_step_has_done_begins_in_memory(files: list[Path], change: Any) -> None:
    volume = chemtomo.reconstruct(chemtomo.read(files).map(change), **QUICK).volume
    recipe = Recipe.from_json(volume.provenance)
    assert [one.kind for one in recipe.inputs] == ["memory"]
    with pytest.raises(ParameterError, match="the data of HAADF, Yb, Si, Al was made in memory"):
        chemtomo.run(recipe)


def test_renamed_channels_are_found_again(files: list[Path]) -> None:
    dataset = chemtomo.read(files).map(lambda one: one.replace(name=one.name.lower()))
    volume = chemtomo.reconstruct(prepared_small(dataset), **QUICK).volume
    assert volume.names == ("haadf", "yb", "si", "al")
    again = chemtomo.run(Recipe.from_json(volume.provenance))
    assert again.names == volume.names
    np.testing.assert_array_equal(again.data, volume.data)


def prepared_small(dataset: Dataset) -> Dataset:
    return chemtomo.prepare(dataset, [{"step": "crop", "y": [1, 4]}])


def test_a_run_that_was_stopped_is_repeated_to_its_last_iteration(files: list[Path]) -> None:
    seen: list[Any] = []
    result = chemtomo.reconstruct(
        chemtomo.read(files),
        device="numpy",
        iterations=50,
        on_progress=seen.append,
        should_stop=lambda: len(seen) == 4,
    )
    again = chemtomo.run(Recipe.from_json(result.volume.provenance))
    np.testing.assert_array_equal(again.data, result.volume.data)
    assert result.volume.provenance["steps"][-1]["iterations"] == 4


def test_results_are_kept_by_what_they_were_made_from(files: list[Path], tmp_path: Path) -> None:
    class Kept(dict[str, Any]):
        def find(self, key: str, before: Any) -> Any:
            return self.get(key)

        def keep(self, key: str, before: Any, made: Any) -> None:
            self[key] = made

        def turn(self, key: str) -> Turn:
            return Turn(tmp_path / key)

    store = Kept()
    dataset = chemtomo.read(files)

    def run(**changes: Any) -> Any:
        steps = [
            Entry.of("crop", {"x": [2, 22]}),
            Entry.of("align", {"method": "phase-correlation", "axis": "none"}),
            Entry.of("reconstruct", {**QUICK, **changes}),
        ]
        return finish(run_steps_job(State(series=dataset), steps, store=store)).volume

    first = run()
    assert len(store) == 3
    assert run() is not None
    assert len(store) == 3  # nothing was made again
    run(alpha0=9.0)  # has no effect on SIRT
    assert len(store) == 3
    other = run(iterations=4)
    assert len(store) == 4  # the alignment was not made again
    assert (other.data != first.data).any()
    assert run().provenance == first.provenance
