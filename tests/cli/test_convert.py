"""The command `chemtomo convert`."""

from pathlib import Path

import numpy as np
import pytest

from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.io import read, read_volume, write, write_dataset


@pytest.mark.parametrize("name", ["out.zarr", "out.mrc", "out", "out.tif", "out.emd", "out.hspy"])
def test_convert_writes_every_format_and_replaces_only_when_told(run, files, tmp_path, name):
    output = tmp_path / name
    status, out, err = run("convert", *files, "-o", output)
    assert (status, err) == (0, "")
    written = [line.removeprefix("Wrote ") for line in out.splitlines()]
    assert written
    assert all(Path(one).exists() for one in written)

    status, out, err = run("convert", *files, "-o", output)
    assert (status, out) == (1, "")
    assert "exists already" in err
    assert run("convert", *files, "-o", output, "--overwrite")[0] == 0


def test_convert_takes_tilts_and_channels(run, files, tmp_path):
    status, out, err = run(
        "convert", *files, "-o", tmp_path / "x.mrc", "--tilts", "-20:10:5", "--channels", "Al"
    )
    assert (status, err) == (0, "")
    assert " ".join(out.split()) == f"Wrote {tmp_path / 'x.mrc'}"
    found = read(tmp_path / "x.mrc")
    assert found.names == ("Al",)
    assert found["Al"].tilts_deg.tolist() == [-20, -10, 0, 10, 20]
    assert np.array_equal(found["Al"].data, read(files)["Al"].data)


def test_convert_writes_volumes(run, tmp_path):
    data = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    write(Volume(data, ("HAADF", "Al"), 1.3, (0, 1, 2), {"steps": []}), tmp_path / "v.zarr")
    status, _, err = run("convert", tmp_path / "v.zarr", "-o", tmp_path / "v.mrc", "--channels", "Al")
    assert (status, err) == (0, "")
    found = read_volume(tmp_path / "v.mrc")
    assert (found.names, found.voxel_size_nm, found.origin_px) == (("Al",), 1.3, (0, 1, 2))
    assert np.array_equal(found["Al"], data[1])


def test_convert_refuses_what_makes_no_sense(run, files, tmp_path):
    write(Volume(np.ones((1, 2, 2, 2), np.float32), ("Al",)), tmp_path / "v.zarr")
    status, _, err = run("convert", tmp_path / "v.zarr", *files, "-o", tmp_path / "x.emd")
    assert status == 2
    assert "expected one volume, or tilt series only" in err
    status, _, err = run("convert", tmp_path / "v.zarr", "-o", tmp_path / "x.emd", "--tilts", "0:1:2")
    assert status == 2
    assert "--tilts" in err
    status, _, err = run("convert", *files, "-o", tmp_path / "x.png")
    assert status == 1
    assert "expected a folder, or a name that ends with .zarr" in err


def test_convert_says_what_is_lost(run, tmp_path):
    series = TiltSeries("Al", np.ones((2, 3, 4), np.float32), [0, 1], background=np.ones((2, 3, 4)))
    write_dataset(Dataset((series,)), tmp_path / "a.hspy")
    status, _, err = run("convert", tmp_path / "a.hspy", "-o", tmp_path / "a.mrc")
    assert status == 0
    assert "Al: its background was not written" in err


def test_convert_says_which_spectra_it_leaves_out(run, data_folder, tmp_path):
    status, _, err = run("convert", data_folder / "vendor" / "test_TEM.bcf", "-o", tmp_path / "x.zarr")
    assert status == 0
    assert "the spectra EDX were not written; 'chemtomo maps' makes maps" in " ".join(err.split())
