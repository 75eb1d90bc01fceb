"""The command align, and reconstruct --alignment, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chemtomo.cli import main
from chemtomo.data import Dataset
from chemtomo.io import read, write_dataset
from chemtomo.samples import Misalignment, particles

TILTS = np.arange(-70.0, 71.0, 10.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording out of alignment, as files."""
    recording = particles(
        shape=(40, 40), tilts_deg=TILTS, misalignment=Misalignment(shifts_px=2.0), counts=2.0, seed=1
    )
    assert recording.maps is not None
    target = tmp_path_factory.mktemp("recorded") / "series"
    write_dataset(Dataset((recording.series, *recording.maps)), target)
    return target


def test_align_and_reconstruct(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "alignment.json"
    files = [str(path) for path in sorted(folder.glob("*.mrc"))]
    quick = ["--method", "phase-correlation", "--axis", "none"]
    assert main(["align", *files, "--reference", "HAADF", *quick, "--save", str(saved)]) == 0
    out = capsys.readouterr().out
    assert "Reference: HAADF, method: phase-correlation" in out
    assert "Residual:" in out
    kept = json.loads(saved.read_text(encoding="utf-8"))
    assert kept["reference"] == "HAADF"
    assert np.abs(np.array(kept["matrices"])[:, :, 2]).max() > 0.5

    volume = tmp_path / "volume.zarr"
    few = ["--method", "sirt", "--iterations", "2", "--device", "numpy", "--slices", "10:14"]
    assert main(["reconstruct", *files, "--alignment", str(saved), "-o", str(volume), *few]) == 0
    assert volume.is_dir()


def test_a_former_spelling_works_with_a_warning(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrices = []
    for axis in ("sum-minimum", "sharpness"):
        saved = tmp_path / f"{axis}.json"
        arguments = ["align", str(folder), "--method", "center-of-mass", "--axis", axis, "--save", str(saved)]
        assert main(arguments) == 0
        warned = "Warning: axis: 'sum-minimum' is now 'sharpness'" in capsys.readouterr().err
        assert warned == (axis == "sum-minimum")
        matrices.append(json.loads(saved.read_text(encoding="utf-8"))["matrices"])
    assert matrices[0] == matrices[1]
    assert main(["align", str(folder), "--axis", "sharp", "--save", str(tmp_path / "no.json")]) == 2
    assert "expected com-path, max-image, sharpness, none" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["aligned.zarr", "aligned.npz"])
def test_the_report_as_json_and_the_aligned_projections(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    target = tmp_path / name
    arguments = ["align", str(folder), "--method", "stackreg", "--axis", "none", "--json", "-o", str(target)]
    assert main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["reference"] == "HAADF"
    assert sorted(report["channels"]) == ["HAADF", "carrier", "particles"]
    aligned, raw = read(target), read(folder)
    assert sorted(aligned.names) == sorted(raw.names)
    spread = [np.abs(np.diff(one["HAADF"].values(), axis=0)).mean() for one in (aligned, raw)]
    assert spread[0] < 0.8 * spread[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "found neither --save nor --output"),
        (["--save", "a.json", "--reference", "nix"], "channel 'nix' fits none"),
        (["--save", "nowhere/a.json"], "there is no folder nowhere"),
        (["--save", "a.json", "--method", "none", "--axis", "none"], "found method none and axis none"),
    ],
)
def test_what_is_refused(
    folder: Path,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["align", str(folder), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_an_old_alignment_is_not_overwritten(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "alignment.json"
    saved.write_text("old")
    assert main(["align", str(folder), "--save", str(saved)]) == 1
    assert "exists already; expected another name, or --overwrite" in capsys.readouterr().err
    assert saved.read_text() == "old"


def test_no_alignment_to_reconstruct_with(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"version": 1}')
    assert main(["reconstruct", str(folder), "--alignment", str(other), "-o", str(tmp_path / "v.zarr")]) == 1
    assert f"{other}: found no reference, tilts_deg, matrices" in capsys.readouterr().err


@pytest.fixture
def axis_along_x(tmp_path: Path) -> Path:
    """A recording with the tilt axis along x, and the .mdoc that says so."""
    recording = particles(
        shape=(40, 40), tilts_deg=TILTS, misalignment=Misalignment(shifts_px=0.0), counts=2.0, seed=1
    )
    turned = recording.series.replace(data=recording.series.values().transpose(0, 2, 1))
    (path,) = write_dataset(Dataset((turned,)), tmp_path)
    sections = "".join(f"[ZValue = {n}]\nTiltAngle = {tilt}\n" for n, tilt in enumerate(TILTS))
    path.with_name(f"{path.name}.mdoc").write_text(f"[T = Tilt axis angle = -90.0, binning = 1]\n{sections}")
    return path


def test_the_tilt_axis_that_the_file_says_is_where_the_search_begins(
    axis_along_x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["align", str(axis_along_x), "--method", "none", "--json"]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["axis_near_deg"], report["axis_near_from"]) == (90, "file")
    assert report["axis_angle_deg"] == pytest.approx(90, abs=2)
    assert main([*command[:-1], "--save", str(axis_along_x.with_suffix(".json"))]) == 0
    assert "Tilt axis searched near 90 degrees from y, as the file says" in capsys.readouterr().out


def test_an_axis_that_is_given_wins(axis_along_x: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for near in (0, 40):
        assert main(["align", str(axis_along_x), "--method", "none", "--axis-near", str(near), "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["axis_near_deg"], report["axis_near_from"]) == (near, "parameter")
        assert abs(report["axis_angle_deg"] - near) <= 17
    axis_along_x.with_name(f"{axis_along_x.name}.mdoc").unlink()
    assert main(["align", str(axis_along_x), "--method", "none", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["axis_near_from"] == "default"


def test_info_shows_the_tilt_axis(axis_along_x: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(axis_along_x), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["series"][0]["axis_angle_deg"] == 90
    assert main(["info", str(axis_along_x)]) == 0
    assert "tilt axis" in capsys.readouterr().out


def test_what_was_aligned_before_is_taken_from_the_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    align = ["align", str(folder), "--method", "center-of-mass", "--cache", str(tmp_path / "cache")]
    assert main([*align, "--save", str(tmp_path / "one.json")]) == 0
    monkeypatch.setattr("chemtomo.pipeline.jobs.align.run_alignment", None)  # nothing is aligned again
    assert main([*align, "--save", str(tmp_path / "two.json")]) == 0
    assert (tmp_path / "one.json").read_text("utf-8") == (tmp_path / "two.json").read_text("utf-8")
    assert main([*align, "--axis", "none", "--save", str(tmp_path / "three.json")]) == 1


def test_the_tilt_axis_is_told_with_its_standard_error(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["align", str(folder), "--method", "center-of-mass", "--save", str(tmp_path / "a.json")]
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 0 < report["axis_angle_error_deg"] < 5
    assert main([*arguments, "--overwrite"]) == 0
    told = f"Tilt axis: {report['axis_angle_deg']:.3f} +- {report['axis_angle_error_deg']:.2g} degrees from y"
    assert told in capsys.readouterr().out
