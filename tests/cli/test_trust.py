"""``chemtomo trust``: what a user reads, and what is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from chemtomo.cli.app import app
from chemtomo.io import read, read_volume, write_dataset
from chemtomo.samples import phantom


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trust")
    write_dataset(phantom((6, 32), tilts=18), folder / "series")
    made = CliRunner().invoke(
        app, ["reconstruct", str(folder / "series"), "-o", str(folder / "v.zarr"), "--iterations", "30"]
    )
    assert made.exit_code == 0, made.output
    return folder / "v.zarr"


def _trust(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["trust", *map(str, arguments)])
    return done.exit_code, " ".join(f"{done.output} {done.exception or ''}".split())


def test_tells_and_writes_all_of_it(result: Path, tmp_path: Path) -> None:
    code, output = _trust(result, "-o", tmp_path / "trust", "--uncertainty", "2")
    assert code == 0, output
    names = ("Al", "HAADF", "Si", "Yb")
    assert all(name in output for name in names)
    assert "noise only" in output
    report = json.loads((tmp_path / "trust" / "report.json").read_text())
    assert sorted(report["signals"]) == sorted(names)
    for one in report["signals"].values():
        assert 0.2 < one["chi_squared"] < 100
        assert len(one["tilts"]) == 18
        assert [found["direction"] for found in one["resolution"]] == ["all", "beam", "across", "axis"]
    volume = read_volume(result)
    deviation = read_volume(tmp_path / "trust" / "deviation.zarr")
    assert deviation.data.shape == volume.data.shape
    assert deviation.data.max() > 0
    series = read(tmp_path / "trust" / "reprojections")
    recorded = read(result.parent / "series")
    for name in names:
        expected, data = (np.asarray(one[name].data, np.float64) for one in (series, recorded))
        assert np.corrcoef(expected.ravel(), data.ravel())[0, 1] > 0.5
    with (tmp_path / "trust" / "resolution.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["signal"] for row in rows} == set(names)
    assert (tmp_path / "trust" / "trust.png").read_bytes()[:4] == b"\x89PNG"


def test_without_more_than_residuals_nothing_is_reconstructed(result: Path) -> None:
    code, output = _trust(result, "--halves", "none", "--no-without-coupling")
    assert code == 0, output
    assert "chi-squared" in output
    assert "resolution" not in output.lower()


def test_a_changed_input_is_an_error(result: Path, tmp_path: Path) -> None:
    other = phantom((6, 32), tilts=18, seed=9)
    write_dataset(other, tmp_path / "series")
    code, output = _trust(result, "--inputs", tmp_path / "series", "--halves", "none")
    assert code == 1
    assert "SHA-256" in output or "changed" in output


def test_an_earlier_report_is_replaced_only_when_asked(result: Path, tmp_path: Path) -> None:
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "report.json").write_text("earlier")
    few = ("--halves", "none", "--no-without-coupling")
    code, output = _trust(result, "-o", tmp_path / "trust", *few)
    assert code == 1
    assert "report.json" in output
    assert (tmp_path / "trust" / "report.json").read_text() == "earlier"
    code, output = _trust(result, "-o", tmp_path / "trust", "--overwrite", *few)
    assert code == 0, output
    assert "signals" in json.loads((tmp_path / "trust" / "report.json").read_text())
