"""The command that makes element maps from spectra."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.spectra.conftest import make_specimen, write_spectra

from chemtomo.io import read


@pytest.fixture
def spectra_file(tmp_path):
    """Spectra of Fe, Cu and O in a HyperSpy file."""
    series = make_specimen({"Fe_K": 60.0, "Cu_K": 40.0, "O_K": 30.0}, 100.0).series
    return write_spectra(series, tmp_path / "spectra.hspy")


def test_maps_suggests_lines(run, spectra_file):
    status, out, _ = run("maps", spectra_file, "--suggest", "--json")
    assert status == 0
    found = json.loads(out)["suggestions"]
    assert {one["line"] for one in found} == {"Fe_Ka", "Cu_Ka", "O_Ka"}
    assert all(one["certain"] for one in found)
    _, table, _ = run("maps", spectra_file, "--suggest")
    assert "Fe_Ka" in table
    assert "6.401" in table


def test_maps_are_written_and_read_back(run, spectra_file, tmp_path):
    target, table = tmp_path / "maps.zarr", tmp_path / "sum.csv"
    status, out, err = run(
        "maps", spectra_file, "--elements", "Fe,Cu", "-o", target, "--spectrum", table, "--json"
    )
    assert status == 0, err
    made = json.loads(out)["maps"]
    assert [one["name"] for one in made] == ["Fe", "Cu"]
    back = read(target)
    assert back["Fe"].kind == "counts"
    assert back["Fe"].values().sum() == made[0]["counts"]
    assert np.asarray(back["Fe"].background).sum(dtype=float) == pytest.approx(made[0]["background"])
    assert back["Fe"].tilts_deg.tolist() == [-30.0, 30.0]
    header, *rows = table.read_text().splitlines()
    assert header == "energy_keV,sum"
    assert len(rows) == 1200


def test_maps_needs_to_know_where_to_write(run, spectra_file, tmp_path):
    status, _, err = run("maps", spectra_file)
    assert status == 2
    assert "--output" in err
    status, _, err = run("maps", spectra_file, "--elements", "Xx", "-o", tmp_path / "maps.zarr")
    assert status == 1
    assert "'Xx'" in err
    assert not (tmp_path / "maps.zarr").exists()


@pytest.mark.parametrize("method", ["window", "nmf"])
def test_what_was_mapped_before_is_taken_from_the_cache(run, spectra_file, tmp_path, monkeypatch, method):
    options = ["--components", 2] if method == "nmf" else ["--elements", "Fe,Cu"]
    maps = ["maps", spectra_file, "--method", method, *options, "--cache", tmp_path / "cache"]
    assert run(*maps, "-o", tmp_path / "one.zarr")[0] == 0
    for name in ("element_maps_job", "decompose_job"):
        monkeypatch.setattr(f"chemtomo.pipeline.jobs.maps.{name}", None)  # nothing is mapped again
    status, _, err = run(*maps, "-o", tmp_path / "two.zarr")
    assert status == 0, err
    for one, other in zip(read(tmp_path / "one.zarr"), read(tmp_path / "two.zarr"), strict=True):
        np.testing.assert_array_equal(one.data, other.data)
        assert (one.name, one.kind, one.notes) == (other.name, other.kind, other.notes)
    assert run(*maps, "--width", 3, "--seed", 1, "-o", tmp_path / "three.zarr")[0] == 1
