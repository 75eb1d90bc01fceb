"""The format that the documentation adds: a folder and a row are enough for every way in and out."""

import re
from pathlib import Path

import numpy as np
import pytest

from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.errors import ReadError, WriteError
from chemtomo.io import (
    check_output,
    files_of_output,
    is_volume,
    read,
    read_volume,
    readable_suffixes,
    write,
    write_dataset,
)
from chemtomo.io.formats import registry

PAGE = Path(__file__).parents[3] / "docs" / "add-a-format.md"


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    if not PAGE.is_file():
        pytest.skip("the documentation is not there (sdist)")
    made: dict = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), made)
    monkeypatch.setattr(registry, "FORMATS", (*registry.FORMATS, made["row"]))


def dataset():
    values = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    return Dataset(
        (
            TiltSeries("Al", values[0], [-10.0, 0.5, 20.0], 2.0, gains=[1.0, 2.0, 3.0]),
            TiltSeries("Fe", values[1, :2], [5.0, 6.0], 1.0),
        )
    )


def test_series_are_written_and_read(tmp_path):
    path = check_output(tmp_path / "a.toy")
    assert write_dataset(dataset(), path) == [path]
    found = read(path)
    assert found.names == ("Al", "Fe")
    for one, expected in zip(found, dataset(), strict=True):
        assert np.array_equal(one.data, expected.data)
        assert one.tilts_deg.tolist() == expected.tilts_deg.tolist()
        assert one.pixel_size_nm == expected.pixel_size_nm
    assert found["Al"].gains.tolist() == [1, 2, 3]
    assert not is_volume(path)


def test_volumes_are_written_and_read(tmp_path):
    volume = Volume(np.random.default_rng(1).random((2, 3, 4, 5)).astype(np.float32), ("Al", "Fe"), 1.5)
    write(volume, tmp_path / "v.toy")
    found = read_volume(tmp_path / "v.toy")
    assert np.array_equal(found.data, volume.data)
    assert (found.names, found.voxel_size_nm) == (volume.names, 1.5)
    assert is_volume(tmp_path / "v.toy")
    with pytest.raises(ReadError, match="found a volume"):
        read(tmp_path / "v.toy")


def test_it_is_known_in_folders_by_its_content_and_to_the_checks_of_outputs(tmp_path):
    (path,) = write_dataset(dataset(), tmp_path / "a.toy")
    assert ".toy" in readable_suffixes()
    assert read(tmp_path).names == ("Al", "Fe")
    assert files_of_output(path, ("Al", "Fe"), volume=False) == [path]
    with pytest.raises(WriteError, match="exists already"):
        write_dataset(dataset(), path)
    path.rename(tmp_path / "a.dat")
    assert read(tmp_path / "a.dat").names == ("Al", "Fe")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: b"BOY " + content[4:], "found b'BOY"),
        (lambda content: content[:-1], "truncated"),
        (lambda content: content[:200], "found no JSON"),
    ],
)
def test_damage_is_an_error_that_names_the_file(tmp_path, damage, said):
    (path,) = write_dataset(dataset(), tmp_path / "a.toy")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ReadError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
