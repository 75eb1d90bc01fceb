"""``chemtomo run`` over many data sets and settings."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from chemtomo.io import read_volume, write_dataset
from chemtomo.samples import phantom

QUICK = ["--device", "numpy", "--iterations", "2", "--tolerance", "0", "--method", "sirt"]


@pytest.fixture
def folders(run, tmp_path):
    """Three data sets, the second of them broken, and the recipe of a result of the first."""
    found = [tmp_path / name for name in ("one", "two", "three")]
    for seed, folder in enumerate(found):
        folder.mkdir()
        write_dataset(phantom((4, 16), tilts=4, seed=seed), folder / "series.zarr")
    status, _, err = run("reconstruct", found[0] / "series.zarr", "-o", tmp_path / "recipe.zarr", *QUICK)
    assert status == 0, err
    shutil.rmtree(found[1] / "series.zarr")
    return found


def rows(out):
    """The rows of the table by the names of the data sets."""
    return {line.split()[0]: line for line in out.splitlines() if line.split()}


@pytest.mark.parametrize("workers", [0, 2])
def test_each_data_set_has_its_row_and_is_done_once(run, folders, tmp_path, workers):
    if workers:
        pytest.importorskip("distributed")
    report = tmp_path / "out" / "report.json"
    many = ["run", tmp_path / "recipe.zarr", "--each", *folders, "-o", tmp_path / "out",
            "--report", report, "--workers", workers]  # fmt: skip
    status, out, err = run(*many)
    assert status == 1, err
    assert "made" in rows(out)["one"]
    assert "failed" in rows(out)["two"]
    assert str(folders[1]) in rows(out)["two"]
    assert "made" in rows(out)["three"]
    assert "2 made, 1 failed" in out
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["counts"] == {"made": 2, "failed": 1}
    assert {one["data"]: one["became"] for one in found["results"]} == {
        "one": "made",
        "two": "failed",
        "three": "made",
    }
    status, out, _ = run(*many)
    assert status == 1
    assert "2 there already, 1 failed" in out


def test_settings_are_combined(run, folders, tmp_path):
    grid = ["--grid", "reconstruct.iterations=1,3", "--grid", "reconstruct.slices=0:2;1:4"]
    status, out, err = run("run", tmp_path / "recipe.zarr", *grid, "-o", tmp_path / "out")
    assert status == 0, err
    assert "4 made" in out
    volume = read_volume(tmp_path / "out" / "recipe_iterations=3_slices=1-4.zarr")
    assert volume.shape[1] == 3
    assert volume.provenance["steps"][-1]["iterations"] == 3


def test_one_volume_in_slabs(run, folders, tmp_path):
    output = tmp_path / "slabs.zarr"
    status, out, err = run("run", tmp_path / "recipe.zarr", "--slabs", 2, "-o", output)
    assert status == 0, err
    assert "3 made" in out
    found, expected = read_volume(output), read_volume(tmp_path / "recipe.zarr")
    np.testing.assert_array_equal(found.data, expected.data)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{folder}/one"], "expected --each before data sets"),
        (["--each", "{folder}/one", "--inputs", "{folder}/one"], "--inputs and --each"),
        (["--grid", "reconstruct.strength=1,2", "--slabs", "2"], "expected one volume"),
        (["--grid", "iterations=1,2"], "expected each parameter once, as STEP.PARAMETER=VALUE,VALUE"),
    ],
)
def test_options_that_do_not_fit_together(run, folders, tmp_path, arguments, said):
    arguments = [one.format(folder=tmp_path) for one in arguments]
    status, _, err = run("run", tmp_path / "recipe.zarr", "-o", tmp_path / "out", *arguments)
    assert status == 2
    assert said in err.replace("\n", " ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("way", ["run", "reconstruct"])
def test_a_result_of_a_single_run_is_there_already(run, folders, tmp_path, way):
    output = tmp_path / "out" / "one.zarr"
    output.parent.mkdir()
    if way == "run":
        status, _, err = run("run", tmp_path / "recipe.zarr", "-o", output)
    else:
        status, _, err = run("reconstruct", folders[0] / "series.zarr", "-o", output, *QUICK)
    assert status == 0, err
    status, out, err = run(
        "run", tmp_path / "recipe.zarr", "--each", folders[0], folders[2], "-o", output.parent
    )
    assert status == 0, err
    assert "there already" in rows(out)["one"]
    assert "made" in rows(out)["three"]


def test_runs_of_a_grid_share_a_cache(run, folders, tmp_path):
    cache = tmp_path / "cache"
    many = ["run", tmp_path / "recipe.zarr", "--grid", "reconstruct.iterations=1,2", "--cache", cache]
    status, _, err = run(*many, "-o", tmp_path / "out")
    assert status == 0, err
    entries = {path: path.stat().st_ino for path in cache.iterdir()}
    assert len(entries) == 2
    status, _, err = run(*many, "-o", tmp_path / "again")
    assert status == 0, err
    assert {path: path.stat().st_ino for path in cache.iterdir()} == entries
