"""Extended headers as the programs write them, byte by byte."""

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mrcfile.dtypes import get_ext_header_dtype

from chemtomo.errors import ReadError
from chemtomo.io import read
from chemtomo.io.formats.mrc.extended_header import read_extended

TILTS = (-59.99, 0.0, 60.01)


def stack(sections=3):
    return np.arange(sections * 20, dtype=np.float32).reshape(sections, 4, 5)


@pytest.fixture
def make(tmp_path):
    def write(extended, code=b"", integers=0, reals=0, voxel_size=None, sections=3):
        path = tmp_path / "a.mrc"
        with mrcfile.new(path, overwrite=True) as file:
            file.set_data(stack(sections))
            if voxel_size is not None:
                file.voxel_size = voxel_size
            file.set_extended_header(np.frombuffer(bytes(extended), "V1"))
            file.header.exttyp = code
            extra = bytearray(bytes(file.header.extra2))
            extra[16:20] = np.array([integers, reals], "<i2").tobytes()
            file.header.extra2 = np.void(bytes(extra))
        return path

    return write


def fei(code, tilts=TILTS, pixel_metre=1.5e-9):
    dtype = get_ext_header_dtype(code)
    records = np.zeros(len(tilts), dtype)
    records["Metadata size"] = dtype.itemsize
    records["Alpha tilt"] = tilts
    records["Pixel size X"] = pixel_metre
    return records.tobytes()


def old_fei(tilts=TILTS, pixel_metre=1.5e-9):
    """1024 records of 32 floats, those behind the last section being zeros."""
    records = np.zeros((1024, 32), "<f4")
    records[: len(tilts), 0] = tilts
    records[: len(tilts), 11] = pixel_metre
    return records.tobytes()


def serialem(flags, size, tilts=TILTS):
    records = np.zeros((len(tilts), size), np.uint8)
    records[:, 2:] = 7
    records[:, :2] = np.round(np.array(tilts) * 100).astype("<i2").view(np.uint8).reshape(-1, 2)
    return {"extended": records.tobytes(), "integers": size, "reals": flags}


@pytest.mark.parametrize("code", [b"FEI1", b"FEI2"])
def test_fei_says_tilts_and_pixel_size(make, code):
    series = read(make(fei(code), code))["a"]
    assert series.tilts_deg.tolist() == list(TILTS)
    assert series.pixel_size_nm == 1.5
    assert any("1.5 nm is that of the extended header" in note for note in series.notes)
    assert np.array_equal(series.data, stack())


def test_the_pixel_size_of_the_header_comes_first_unless_it_is_the_one_angstrom_of_no_answer(make):
    assert read(make(fei(b"FEI1"), b"FEI1", voxel_size=20))["a"].pixel_size_nm == 2
    assert read(make(fei(b"FEI1"), b"FEI1", voxel_size=1))["a"].pixel_size_nm == 1.5
    path = make(fei(b"FEI1", pixel_metre=0), b"FEI1", voxel_size=1)
    assert read(path)["a"].pixel_size_nm == 0.1
    path.with_name("a.mdoc").write_text("PixelSpacing = 12.5\n")
    assert read(path)["a"].pixel_size_nm == 1.25


@pytest.mark.parametrize(("integers", "reals"), [(0, 32), (0, 0)])
def test_the_old_header_of_fei_is_padded_with_zeros(make, integers, reals):
    series = read(make(old_fei(), integers=integers, reals=reals))["a"]
    assert series.tilts_deg.tolist() == list(TILTS)
    assert series.pixel_size_nm == 1.5


@pytest.mark.parametrize("code", [b"SERI", b""])
@pytest.mark.parametrize(("flags", "size"), [(1, 2), (3, 8), (0b111111, 20)])
def test_serialem_says_hundredths_of_degrees(make, code, flags, size):
    assert read(make(code=code, **serialem(flags, size)))["a"].tilts_deg.tolist() == list(TILTS)


def test_serialem_without_tilts(make):
    """Only piece coordinates: bit 1."""
    with pytest.raises(ReadError, match="found no tilts"):
        read(make(code=b"SERI", **serialem(2, 6)))


@pytest.mark.parametrize("code", [b"AGAR", b""])
def test_the_first_float_of_agard_is_the_tilt(make, code):
    records = np.zeros((3, 5), "<f4")
    records[:, :2] = 1e30
    records[:, 2] = TILTS
    assert read(make(records.tobytes(), code, 2, 3))["a"].tilts_deg.tolist() == list(TILTS)


@pytest.mark.parametrize(
    ("extended", "code", "integers", "reals"),
    [
        (fei(b"FEI1", (0, 0, 0)), b"FEI1", 0, 0),
        (fei(b"FEI1", (0, np.nan, 0)), b"FEI1", 0, 0),
        (fei(b"FEI1")[:-1], b"FEI1", 0, 0),
        (bytes(100), b"FEI2", 0, 0),
        (old_fei((1000, 0, 1)), b"", 0, 32),
        (b"text of some kind" * 10, b"CCP4", 0, 0),
        (b"", b"AGAR", -1, -1),
        (bytes(12), b"SERI", 30000, 1),
    ],
)
def test_what_is_no_list_of_tilts_is_passed_over(make, extended, code, integers, reals):
    """The message asks for tilts, as for a file without an extended header."""
    with pytest.raises(ReadError, match="found no tilts for 3 projections"):
        read(make(extended, code, integers, reals))


def test_tilts_beside_the_file_come_first_and_differences_are_said(make):
    path = make(fei(b"FEI1"), b"FEI1")
    path.with_suffix(".rawtlt").write_text("-61\n0\n60\n")
    series = read(path)["a"]
    assert series.tilts_deg.tolist() == [-61, 0, 60]
    assert any("those in the file itself differ by up to 1.01 degrees" in note for note in series.notes)


@given(
    extended=st.binary(max_size=400),
    code=st.sampled_from([b"FEI1", b"FEI2", b"SERI", b"AGAR", b"", b"????"]),
    integers=st.integers(-(2**15), 2**15 - 1),
    reals=st.integers(-(2**15), 2**15 - 1),
    sections=st.integers(1, 50),
)
def test_no_extended_header_does_any_harm(extended, code, integers, reals, sections):
    raw = np.zeros((), mrcfile.dtypes.HEADER_DTYPE)
    raw["exttyp"] = code
    raw["extra2"] = np.void(bytes(16) + np.array([integers, reals], "<i2").tobytes() + bytes(64))
    found = read_extended(raw, extended, sections, "<")
    if found.tilts_deg is not None:
        assert found.tilts_deg.shape == (sections,)
        assert np.abs(found.tilts_deg).max() <= 360
