"""Heaps of texts in HDF5 files, through which the library itself walks for ever when they are damaged."""

import struct

import h5py
import numpy as np
import pytest

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ReadError
from chemtomo.io import read, write_dataset
from chemtomo.io.storage.hdf5_heaps import check_heaps


@pytest.fixture
def path(tmp_path):
    (path,) = write_dataset(Dataset((TiltSeries("Al", np.ones((2, 3, 4)), [0, 1]),)), tmp_path / "a.hspy")
    return path


def damage(path, place, value):
    whole = bytearray(path.read_bytes())
    heap = whole.index(b"GCOL")
    whole[heap + place : heap + place + 8] = struct.pack("<Q", value)
    path.write_bytes(whole)


def test_whole_files_pass(path, tmp_path):
    check_heaps(path)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        for index in range(500):
            file.attrs[f"text {index}"] = "é" * index
        del file.attrs["text 7"]
    check_heaps(tmp_path / "b.h5")


@pytest.mark.parametrize("length", [1 << 40, (1 << 64) - 16, (1 << 64) - 1])
def test_an_object_that_ends_elsewhere_is_refused(path, length):
    damage(path, 16 + 8, length)
    with pytest.raises(ReadError, match=r"a\.hspy: found an object of \d+ bytes"):
        read(path)


def test_free_space_of_no_size_is_refused(path):
    """The library would stay at it for ever."""
    whole = bytearray(path.read_bytes())
    heap = whole.index(b"GCOL")
    whole[heap + 16 : heap + 32] = bytes(16)
    path.write_bytes(whole)
    with pytest.raises(ReadError, match="found an object of 0 bytes"):
        read(path)


@pytest.mark.parametrize("size", [0, 8, 1 << 40])
def test_a_heap_of_another_size_than_the_file_has_is_refused(path, size):
    damage(path, 8, size)
    with pytest.raises(ReadError, match=rf"found a heap of {size} bytes"):
        read(path)


def test_empty_files_have_none(tmp_path):
    (tmp_path / "empty.h5").touch()
    check_heaps(tmp_path / "empty.h5")
