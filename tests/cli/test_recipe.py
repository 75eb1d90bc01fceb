"""``chemtomo recipe``, ``run`` and ``script``: the same result again, whichever way it was made."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from tests.spectra.conftest import make_specimen, write_spectra

from chemtomo.cli.commands import simulated
from chemtomo.io import read, read_volume
from chemtomo.opencl import list_devices
from chemtomo.pipeline import Recipe

QUICK = ["--device", "numpy", "--iterations", "3", "--tolerance", "0", "--method", "sirt"]


def steps_of(path):
    return [one.step for one in Recipe.load(path).steps]


def repeated(run, tmp_path, result):
    """The volume of a result, after its recipe was run, and its script."""
    recipe = tmp_path / "recipe.toml"
    assert run("recipe", result, "-o", recipe)[0] == 0
    status, out, err = run("run", recipe, "-o", tmp_path / "again.zarr")
    assert status == 0, err
    assert "again.zarr" in out
    status, script, err = run("script", result)
    assert status == 0, err
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, second, third = (
        read_volume(path) for path in (result, tmp_path / "again.zarr", tmp_path / "result.zarr")
    )
    for other in (second, third):
        assert other.names == first.names
        np.testing.assert_array_equal(other.data, first.data)
    return recipe


def test_the_demo_is_repeated(run, tmp_path, monkeypatch):
    monkeypatch.setattr(simulated, "_DEMO_SHAPE", (6, 24))
    monkeypatch.setattr(simulated, "_DEMO_ITERATIONS", 4)
    monkeypatch.setattr(simulated, "_DEMO_SIRT_ITERATIONS", 2)
    monkeypatch.setenv("CHEMTOMO_DEVICE", "numpy")
    assert run("demo", "--output", tmp_path / "demo")[0] == 0
    recipe = repeated(run, tmp_path, tmp_path / "demo" / "demo.zarr")
    assert 'sample = "phantom"' in recipe.read_text(encoding="utf-8")


def test_chained_commands_are_one_recipe_from_the_spectra_on(run, tmp_path):
    series = make_specimen({"Fe_K": 60.0, "Cu_K": 40.0}, 100.0).series
    spectra = write_spectra(series, tmp_path / "spectra.hspy")
    assert run("maps", spectra, "--elements", "Fe,Cu", "-o", tmp_path / "maps.zarr")[0] == 0
    assert run("prepare", tmp_path / "maps.zarr", "--crop-y", "1:4", "-o", tmp_path / "clean.zarr")[0] == 0
    status, _, err = run("reconstruct", tmp_path / "clean.zarr", "-o", tmp_path / "volume.ome.tif", *QUICK)
    assert status == 0, err
    recipe = repeated(run, tmp_path, tmp_path / "volume.ome.tif")
    assert steps_of(recipe) == ["maps", "crop", "reconstruct"]
    (given,) = Recipe.load(recipe).inputs
    assert given.kind == "spectra"
    assert given.paths == (str(spectra),)
    spectra.write_bytes(spectra.read_bytes() + b" ")
    status, _, err = run("run", recipe, "-o", tmp_path / "third.zarr")
    assert status == 1
    assert "found files with the SHA-256" in err


def test_a_saved_alignment_is_kept_as_numbers(run, files, tmp_path):
    saved = tmp_path / "alignment.json"
    options = ["--method", "phase-correlation", "--axis", "none"]
    assert run("align", *files, "--save", saved, *options)[0] == 0
    status, _, err = run("reconstruct", *files, "--alignment", saved, "-o", tmp_path / "volume.mrc", *QUICK)
    assert status == 0, err
    saved.unlink()
    recipe = repeated(run, tmp_path, tmp_path / "volume.mrc")
    assert steps_of(recipe) == ["use_alignment", "reconstruct"]


def test_aligned_projections_hold_their_recipe(run, files, tmp_path):
    options = ["--method", "phase-correlation", "--axis", "none"]
    assert run("align", *files, "-o", tmp_path / "aligned.zarr", *options)[0] == 0
    status, out, _ = run("recipe", tmp_path / "aligned.zarr")
    assert status == 0
    recipe = Recipe.from_toml(out)
    assert [one.step for one in recipe.steps] == ["align", "apply_alignment"]
    (tmp_path / "recipe.toml").write_text(out, encoding="utf-8")
    status, _, err = run("run", tmp_path / "aligned.zarr", "-o", tmp_path / "again.zarr")
    assert status == 0, err
    for one, other in zip(read(tmp_path / "aligned.zarr"), read(tmp_path / "again.zarr"), strict=True):
        np.testing.assert_array_equal(one.values(), other.values())


@pytest.mark.parametrize("name", ["v.zarr", "v.ome.tif", "v.emd", "v.hspy", "v.mrc", "v.npz"])
def test_every_format_holds_the_recipe(run, files, tmp_path, name):
    assert run("reconstruct", *files, "-o", tmp_path / name, *QUICK)[0] == 0
    status, out, err = run("recipe", tmp_path / name)
    assert status == 0, err
    assert [one.step for one in Recipe.from_toml(out).steps] == ["reconstruct"]


def test_a_run_does_not_write_onto_its_inputs(run, files, tmp_path):
    assert run("reconstruct", *files, "-o", tmp_path / "v.zarr", *QUICK)[0] == 0
    status, _, err = run("run", tmp_path / "v.zarr", "-o", files[0], "--overwrite")
    assert status == 1, err
    assert read(files[0]).series[0].shape == (5, 4, 16)


def test_channels_of_a_volume_are_repeated(run, files, tmp_path):
    assert run("reconstruct", *files, "-o", tmp_path / "all.zarr", *QUICK)[0] == 0
    few = ["--channels", "Al", "--channels", "Si"]
    assert run("convert", tmp_path / "all.zarr", "-o", tmp_path / "few.zarr", *few)[0] == 0
    recipe = repeated(run, tmp_path, tmp_path / "few.zarr")
    assert steps_of(recipe) == ["reconstruct", "select"]


def test_settings_and_slices_for_one_run(run, files, tmp_path):
    assert run("reconstruct", *files, "-o", tmp_path / "v.zarr", *QUICK)[0] == 0
    again = tmp_path / "again.zarr"
    status, _, err = run("run", tmp_path / "v.zarr", "-o", again, "--set", "reconstruct.iterations=2",
                         "--slices", "1:3")  # fmt: skip
    assert status == 0, err
    volume = read_volume(again)
    assert volume.shape[1] == 2
    assert volume.provenance["steps"][-1]["iterations"] == 2


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["--set", "iterations=2"], "expected STEP.PARAMETER=VALUE", 2),
        (["--set", "crop.x=2:3"], "found 0 steps 'crop'", 1),
        (["--set", "reconstruct.iterations=0"], "iterations: .*found '0'", 1),
        (["--inputs", "{folder}"], "no such file; expected it in", 1),
    ],
)
def test_what_cannot_be_run_writes_nothing(run, files, tmp_path, arguments, said, code):
    import re

    assert run("reconstruct", *files, "-o", tmp_path / "v.zarr", *QUICK)[0] == 0
    arguments = [one.format(folder=tmp_path) for one in arguments]
    status, _, err = run("run", tmp_path / "v.zarr", "-o", tmp_path / "again.zarr", *arguments)
    assert status == code
    assert re.search(said, err.replace("\n", " ")), err
    assert not (tmp_path / "again.zarr").exists()


def test_older_spellings_work_with_a_warning(run, files, tmp_path):
    older = ["--preprocess", "paper", "--percentile-low", "2"]
    status, _, err = run("reconstruct", *files, "-o", tmp_path / "old.zarr", *QUICK, *older)
    assert status == 0, err
    assert "--preprocess paper is now --published-scaling" in err
    newer = ["--published-scaling-percentile-low", "2"]
    status, _, err = run("reconstruct", *files, "-o", tmp_path / "new.zarr", *QUICK, *newer)
    assert (status, "Warning" in err) == (0, False)
    old, new = (read_volume(tmp_path / name) for name in ("old.zarr", "new.zarr"))
    np.testing.assert_array_equal(old.data, new.data)
    status, _, err = run("prepare", *files, "-o", tmp_path / "clean.zarr", "--largest-tilt", "50")
    assert status == 0
    assert "Warning: --largest-tilt is now --drop-tilts-largest-deg" in err
    assert all(abs(read(tmp_path / "clean.zarr").series[0].tilts_deg) <= 50)


def test_kept_results_are_used_again(run, files, tmp_path):
    cache = tmp_path / "cache"
    command = ["reconstruct", *files, *QUICK, "--cache", cache, "-o"]
    assert run(*command, tmp_path / "first.zarr")[0] == 0
    entries = set(cache.iterdir())
    assert entries
    assert run("run", tmp_path / "first.zarr", "--cache", cache, "-o", tmp_path / "again.zarr")[0] == 0
    assert set(cache.iterdir()) == entries  # it was found
    first, again = (read_volume(tmp_path / name) for name in ("first.zarr", "again.zarr"))
    np.testing.assert_array_equal(first.data, again.data)
    assert run(*command, tmp_path / "other.zarr", "--iterations", "4", "--cache-size", "0")[0] == 0
    assert set(cache.iterdir()) == entries  # nothing fits into no space


def test_a_checkpoint_is_removed_when_the_result_is_written(run, files, tmp_path):
    state = tmp_path / "state"
    command = ["reconstruct", *files, *QUICK, "--checkpoint", state, "--checkpoint-iterations", "1"]
    assert run(*command, "-o", tmp_path / "first.zarr")[0] == 0
    assert not state.exists()
    state.write_text("of somebody", encoding="utf-8")
    status, _, err = run(*command, "-o", tmp_path / "second.zarr")
    assert (status, "found a checkpoint already" in " ".join(err.split())) == (1, True)
    assert state.read_text(encoding="utf-8") == "of somebody"
    status, _, err = run("reconstruct", *files, *QUICK, "--resume", "-o", tmp_path / "third.zarr")
    assert (status, "--checkpoint FILE" in err) == (2, True)
    assert not (tmp_path / "third.zarr").exists()


@pytest.mark.parametrize("other", ["numpy", "another driver"])
def test_another_device_gives_the_same_to_1e_4(run, files, tmp_path, opencl, other):
    """A recipe that was made on the default OpenCL device, in NumPy and by another driver (extra intel)."""
    device = other
    if other == "another driver":
        found = [one for one in list_devices() if str(one.number) != opencl]
        if not found:
            pytest.skip("there is one OpenCL device only; expected another driver, such as the extra intel")
        device = str(found[0].number)
    options = ["--method", "tgv", "--iterations", "40", "--tolerance", "0", "--strength", "2"]
    first, again = tmp_path / "first.zarr", tmp_path / "again.zarr"
    status, _, err = run("reconstruct", *files, "-o", first, "--device", opencl, *options)
    assert status == 0, err
    status, _, err = run("run", first, "-o", again, "--set", f"reconstruct.device={device}")
    assert status == 0, err
    one, two = read_volume(first), read_volume(again)
    assert one.provenance["device"] != two.provenance["device"]
    for expected, values in zip(one.data, two.data, strict=True):
        assert np.linalg.norm(values - expected) < 1e-4 * np.linalg.norm(expected)
