"""One slice with several settings, and after several iterations."""

import csv
import json

import numpy as np
import pytest

import chemtomo
from chemtomo.cli import main
from chemtomo.errors import ParameterError
from chemtomo.io import read_volume, write_dataset
from chemtomo.pipeline.jobs.one_slice import convergence, settings_of, sweep
from chemtomo.recon import ReconstructParameters
from chemtomo.samples import phantom


@pytest.fixture(scope="module")
def dataset():
    return phantom((4, 32), tilts=12).select(["HAADF", "Al"])


def test_a_slice_of_a_sweep_is_that_of_a_reconstruction(dataset, opencl):
    parameters = ReconstructParameters(iterations=12, tolerance=0, device=opencl)
    made = sweep(dataset, parameters, {"strength": [0.5, 4]}, 2)
    assert made.settings == ({"strength": 0.5}, {"strength": 4})
    for number, setting in enumerate(made.settings):
        one = chemtomo.reconstruct(
            dataset, slices=(2, 3), iterations=12, tolerance=0, device=opencl, **setting
        )
        np.testing.assert_array_equal(made.found.slices[number], one.volume.data[:, :, 0])
    assert made.found.y == 2
    # Above the best of every channel, so that each has one without an excess.
    np.testing.assert_array_equal(made.found.misfits.min(axis=0), 0)
    assert (made.found.errors[made.found.misfits == 0] == 0).all()


@pytest.mark.parametrize("method", ["sirt", "cgls"])
def test_a_sweep_of_any_method_and_parameter(dataset, method):
    parameters = ReconstructParameters(method=method, device="numpy")
    found = sweep(dataset, parameters, {"iterations": [1, 4]}).found
    assert found.slices.shape[:2] == (2, 2)
    assert (found.misfits[0] > 0).all()


def test_all_combinations_and_the_weight_of_a_channel():
    base = ReconstructParameters(mu={"Si": 2.0})
    made = settings_of(base, {"strength": ["0.5", "1"], "mu.Al": [3]})
    assert [one.strength for _, one in made] == [0.5, 1.0]
    assert all(one.mu == {"Si": 2.0, "Al": 3.0} for _, one in made)


@pytest.mark.parametrize(
    ("grid", "said"), [({"strenght": [1]}, "strenght"), ({"strength": [-1]}, "strength")]
)
def test_a_grid_that_is_not_allowed_is_refused(grid, said):
    with pytest.raises(ParameterError, match=said):
        settings_of(ReconstructParameters(), grid)


def test_a_slice_that_is_not_there_is_refused(dataset):
    with pytest.raises(ParameterError, match="found 9; expected 0 to 3"):
        convergence(dataset, ReconstructParameters(), 9)


@pytest.mark.parametrize("method", ["sirt", "tgv"])
def test_iterates_end_at_the_reconstruction_and_the_residual_falls(dataset, opencl, method):
    options = {"method": method, "iterations": 30, "report_every": 10, "tolerance": 0, "device": opencl}
    found = convergence(dataset, ReconstructParameters(**options), 1)
    assert found.iterations == (1, 10, 20, 30)
    end = chemtomo.reconstruct(dataset, slices=(1, 2), **options)
    np.testing.assert_array_equal(found.iterates[-1], end.volume.data[:, :, 0])
    assert found.objectives[-1] == pytest.approx(end.report["history"][-1]["objective"])
    assert (found.residuals[-1] < found.residuals[0]).all()
    assert np.isnan(found.gaps).all() == (method == "sirt")


def test_the_commands_write_pictures_stacks_and_tables(dataset, tmp_path, capsys):
    files = [str(path) for path in write_dataset(dataset, tmp_path)]
    common = ["--method", "sirt", "--device", "numpy", "--slice", "1"]
    picture, stack, report = tmp_path / "a.png", tmp_path / "a.zarr", tmp_path / "a.json"
    asked = ["--grid", "iterations=1,3,5", "-o", str(picture), "--stack", str(stack), "--report", str(report)]
    assert main(["sweep", *files, *common, *asked]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert read_volume(stack).shape == (32, 3, 32)
    written = json.loads(report.read_text())
    assert [one["setting"]["iterations"] for one in written["settings"]] == ["1", "3", "5"]
    table = tmp_path / "b.csv"
    asked = ["--iterations", "4", "--report-every", "2", "-o", str(tmp_path / "b.png"), "--table", str(table)]
    assert main(["convergence", *files, *common, *asked]) == 0
    rows = list(csv.DictReader(table.open()))
    assert [row["iteration"] for row in rows] == ["1", "2", "4"]
    assert float(rows[-1]["residual Al"]) < float(rows[0]["residual Al"])
    assert main(["sweep", *files, *common, "--grid", "iterations=1", "-o", str(picture)]) == 1
    assert "--overwrite" in capsys.readouterr().err
    other = str(tmp_path / "c.png")
    assert main(["sweep", *files, *common, "--grid", "iterations", "-o", other]) == 2
    assert "PARAMETER=VALUE,VALUE" in capsys.readouterr().err
