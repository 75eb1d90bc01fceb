import shutil

import numpy as np
import pytest

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ReadError
from chemtomo.io import FORMATS, read, readable_suffixes, write_dataset


@pytest.fixture
def file(tmp_path):
    series = TiltSeries("Al", np.ones((2, 3, 4), np.float32), [0, 1])
    return write_dataset(Dataset((series,)), tmp_path)[0]


def test_a_file_of_another_ending_is_known_by_its_content(file):
    other = file.with_suffix(".dat")
    file.rename(other)
    assert read(other).names == ("Al",)


def test_two_files_of_one_stem_are_told_apart_by_their_paths(file, tmp_path):
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / "Al.mrc"
    shutil.copy(file, other)
    shutil.copy(file.with_suffix(".rawtlt"), other.with_suffix(".rawtlt"))
    dataset = read([file, other])
    assert dataset.names == (f"Al ({tmp_path.name})", "Al (b)")
    assert all("one of 2 signals named 'Al'" in one.notes for one in dataset)


def test_what_is_not_there_or_no_file(tmp_path):
    with pytest.raises(ReadError, match="no such file"):
        read(tmp_path / "nothing.mrc")
    with pytest.raises(ReadError, match=r"found no file in the folder that can be read; expected \.zarr"):
        read(tmp_path)
    with pytest.raises(ReadError, match="found no file"):
        read([])


@pytest.mark.parametrize("content", [b"", b"hello", bytes(2000)])
def test_an_unknown_format_lists_those_that_can_be_read(tmp_path, content):
    path = tmp_path / "a.xyz"
    path.write_bytes(content)
    with pytest.raises(ReadError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    for suffix in readable_suffixes():
        assert suffix in str(caught.value)


def test_endings_are_claimed_once_and_in_lower_case():
    suffixes = [suffix for one in FORMATS for suffix in one.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)
