"""Zip archives of tilt series."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from chemtomo.errors import ReadError
from chemtomo.io import contents, read, write_dataset
from chemtomo.io.storage.archive import unpack
from chemtomo.samples import phantom


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("series")
    write_dataset(phantom((4, 16), tilts=5), folder)
    return sorted(folder.iterdir())


def packed(path: Path, files: list[Path], inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in files:
            archive.write(one, f"{inside}{one.name}")
    return path


@pytest.mark.parametrize("inside", ["", "day 1/sample/"])
def test_an_archive_is_read_like_its_folder(files: list[Path], tmp_path: Path, inside: str) -> None:
    found = read(packed(tmp_path / "all.zip", files, inside))
    expected = read(files[0].parent)
    assert found.names == expected.names
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.values(), other.values())
        np.testing.assert_array_equal(one.tilts_deg, other.tilts_deg)


def test_a_zarr_image_in_an_archive(tmp_path: Path) -> None:
    target = tmp_path / "series.zarr"
    dataset = phantom((4, 16), tilts=5)
    write_dataset(dataset, target)
    path = tmp_path / "image.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for one in target.rglob("*"):
            if one.is_file():
                archive.write(one, one.relative_to(tmp_path))
    assert read(path).names == dataset.names


def test_it_is_unpacked_once_and_again_when_it_has_changed(files: list[Path], tmp_path: Path) -> None:
    path = packed(tmp_path / "one.zip", files[:2])
    first = unpack(path)
    assert first == unpack(path)
    assert first.name == "one.zip"
    path.unlink()
    assert unpack(packed(path, files)) != first


def test_archives_that_are_refused(files: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    path.write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(ReadError, match=r"bad.zip: found a damaged archive .*; expected a Zip archive"):
        read(path)
    whole = packed(tmp_path / "whole.zip", files).read_bytes()
    broken = bytearray(whole)
    broken[60:90] = bytes(30)
    path.write_bytes(broken)
    with pytest.raises(ReadError, match=r"bad\.zip"):
        read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escaped.mrc", b"x")
    with pytest.raises(ReadError, match="expected names inside of it"):
        read(path)
    assert not (tmp_path.parent / "escaped.mrc").exists()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", b"x")
    with pytest.raises(ReadError, match=r"bad.zip: found no file in the archive that can be read"):
        read(path)


def test_an_archive_that_claims_too_much(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chemtomo.io.storage.archive._LARGEST_BYTES", 1000)
    with pytest.raises(ReadError, match=r"large.zip: found .* expected at most 20000 files"):
        read(packed(tmp_path / "large.zip", files))


def test_the_published_velox_file(data_folder: Path) -> None:
    found = contents(data_folder / "vendor" / "velox_EELS_EDS.zip")
    assert found.spectra
    assert {"Fe", "Co", "O"} <= {one.name for one in found.series}


def test_archives_in_a_folder_are_read_with_its_files(files: list[Path], tmp_path: Path) -> None:
    packed(tmp_path / "all.zip", [one for one in files if not one.name.startswith("HAADF")])
    for one in files:
        if one.name.startswith("HAADF"):
            (tmp_path / one.name).write_bytes(one.read_bytes())
    with zipfile.ZipFile(tmp_path / "notes.zip", "w") as archive:
        archive.writestr("readme.txt", b"x")
    assert set(read(tmp_path).names) == set(read(files[0].parent).names)


def test_archives_in_archives_are_left_alone(files: list[Path], tmp_path: Path) -> None:
    inner = packed(tmp_path / "inner.zip", files)
    with pytest.raises(ReadError, match=r"outer.zip: found no file in the archive that can be read"):
        read(packed(tmp_path / "outer.zip", [inner]))


def test_notes_name_the_archive_and_no_temporary_folder(files: list[Path], tmp_path: Path) -> None:
    path = packed(tmp_path / "one.zip", [one for one in files if one.stem.split(".")[0] == "HAADF"])
    (series,) = read(path)
    assert f"1 file of the archive {path}: HAADF.mrc" in series.notes
