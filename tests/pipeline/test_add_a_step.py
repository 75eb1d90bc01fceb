"""The steps that the documentation adds run, are recorded, repeated and kept as those of the program."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

import chemtomo
from chemtomo.cli.options import OperationOptions
from chemtomo.data import TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.io import read, write_dataset
from chemtomo.pipeline import STEPS, Entry, Recipe, State, Step
from chemtomo.pipeline.keeping.cache import Cache
from chemtomo.pipeline.runner import run_steps_job
from chemtomo.pipeline.writing import recipe_in
from chemtomo.preprocess.operations import OPERATIONS
from chemtomo.progress import finish

PAGE = Path(__file__).parents[2] / "docs" / "add-a-step.md"


@pytest.fixture
def page(monkeypatch):
    """What the code of the page makes, with its steps in the registry."""
    if not PAGE.is_file():
        pytest.skip("the documentation is not there (sdist)")
    made: dict = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), made)
    model, row = made["DarkLevel"], made["row"]
    beside = STEPS["clip_negative"]
    step = Step(model.operation, model.title, model, "series", "series", beside.job, by_projection=True)
    monkeypatch.setitem(OPERATIONS, model.operation, model)
    monkeypatch.setitem(STEPS, model.operation, step)
    monkeypatch.setitem(STEPS, row.name, row)
    return made


@pytest.fixture
def series() -> TiltSeries:
    data = np.random.default_rng(0).integers(100, 200, (3, 4, 5)).astype(np.float32)
    return TiltSeries("HAADF", data, np.array([-10.0, 0, 10]), kind="intensity", gains=np.ones(3))


def test_the_laws_of_the_page_hold(page, series):
    page["check_dark_level"](series)


def test_the_operation_is_recorded_and_repeated_from_files(page, series, tmp_path):
    (path,) = write_dataset(chemtomo.Dataset((series,)), tmp_path / "a.zarr")
    prepared = chemtomo.prepare(read(path), [{"step": "dark_level", "level": 90}])
    np.testing.assert_array_equal(prepared.series[0].data, series.data - 90)
    (written,) = chemtomo.write(prepared, tmp_path / "b.zarr")
    recipe = Recipe.from_toml(recipe_in([written]).to_toml())
    assert [one.to_json() for one in recipe.steps] == [{"step": "dark_level", "level": 90.0}]
    np.testing.assert_array_equal(chemtomo.run(recipe).series[0].data, series.data - 90)


def test_the_operation_has_an_option(page):
    options = OperationOptions(["dark_level"])
    assert {one.name for one in options.options()} == {"dark_level", "dark_level_channels"}
    (taken,) = options.taken({"dark_level": 120.0, "dark_level_channels": None})
    assert taken == page["DarkLevel"](level=120)
    assert options.taken({"dark_level": None, "dark_level_channels": None}) == ()


def test_counts_are_refused(page, series):
    with pytest.raises(DataError, match="HAADF holds counts; expected intensities"):
        page["subtract_dark"](series.replace(kind="counts"), 3)


def test_the_table_is_made_and_kept(page, tmp_path, monkeypatch):
    """The second time it is taken from the cache."""
    dataset = chemtomo.phantom((4, 16), tilts=5)
    quick = {"method": "sirt", "iterations": 1, "device": "numpy"}
    steps = [Entry.of("reconstruct", quick), Entry.of("channel_sums", {"above": 0.5})]
    cache = Cache(tmp_path)
    made = finish(run_steps_job(State(series=dataset), steps, store=cache))
    volume = made.volume
    assert made.table["channel"] == list(volume.names)
    for name, count, total in zip(*made.table.values(), strict=True):
        chosen = volume[name] > 0.5 * volume[name].max()
        assert (count, total) == (chosen.sum(), pytest.approx(volume[name][chosen].sum()))
    for step in ("reconstruct", "channel_sums"):
        monkeypatch.setitem(STEPS, step, dataclasses.replace(STEPS[step], job=lambda *_, **__: None))
    assert finish(run_steps_job(State(series=dataset), steps, store=cache)).table == made.table
    with pytest.raises(ParameterError, match="expected a reconstruction before it"):
        finish(page["channel_sums_job"](State(series=dataset), page["ChannelSums"](), None))


def test_parameters_have_bounds(page):
    with pytest.raises(ParameterError, match="above"):
        Entry.of("channel_sums", {"above": 1.5})
