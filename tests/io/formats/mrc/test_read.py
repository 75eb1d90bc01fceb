import hashlib

import mrcfile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ReadError, WriteError
from chemtomo.io import read, write_dataset
from chemtomo.io.formats.mrc import read as mrc

SHAPE = (3, 4, 5)


def stack(dtype=np.float32):
    return (np.arange(60).reshape(SHAPE) % 100).astype(dtype)


@pytest.fixture
def make(tmp_path):
    """Write an MRC file as other programs do, with its angle file."""

    def write(data=None, name="Al.mrc", angles="-10\n0\n10\n", voxel_size=None, change=None):
        path = tmp_path / name
        with mrcfile.new(path, overwrite=True) as file:
            file.set_data(stack() if data is None else data)
            if voxel_size is not None:
                file.voxel_size = voxel_size
            if change is not None:
                change(file.header)
        if angles is not None:
            path.with_suffix(".rawtlt").write_text(angles)
        return path

    return write


def message(path):
    with pytest.raises(ReadError) as caught:
        read(path)
    return str(caught.value)


def test_a_series_is_named_by_the_stem_and_keeps_values_and_type(make):
    path = make(stack(np.int16) - 30, voxel_size=13.0)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    series = read(path)["Al"]
    assert series.data.dtype == np.int16
    assert np.array_equal(series.data, stack() - 30)
    assert series.tilts_deg.tolist() == [-10, 0, 10]
    assert series.pixel_size_nm == 1.3
    assert series.source == str(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_many_files_are_one_dataset_in_their_order(make):
    paths = [make(name="Yb.mrc"), make(name="Al.st"), make(name="HAADF.MRC")]
    assert read(paths).names == ("Yb", "Al", "HAADF")
    assert read([str(path) for path in paths]).names == ("Yb", "Al", "HAADF")


@given(
    dtype=st.sampled_from([np.int8, np.int16, np.uint16, np.float16, np.float32]),
    tilts=st.lists(st.floats(-180, 180), min_size=1, max_size=4),
    picometres=st.integers(1, 500_000),
    kind=st.sampled_from(["counts", "intensity"]),
    axis=st.one_of(st.none(), st.floats(-5, 20)),
    seed=st.integers(0, 100),
)
def test_what_is_written_is_read_back_exactly(tmp_path_factory, dtype, tilts, picometres, kind, axis, seed):
    data = (np.random.default_rng(seed).random((len(tilts), 3, 4)) * 100).astype(dtype)
    given_series = TiltSeries("Al.1 b", data, tilts, picometres / 1000, kind, axis)
    folder = tmp_path_factory.mktemp("written")
    (path,) = write_dataset(Dataset((given_series,)), folder)
    found = read(path)["Al.1 b"]
    assert found.data.dtype == dtype
    assert np.array_equal(found.data, data)
    assert np.array_equal(found.tilts_deg, given_series.tilts_deg)
    assert found.pixel_size_nm == given_series.pixel_size_nm
    assert found.kind == kind
    assert found.axis_position_px == axis
    assert found.notes == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint32, np.float64])
def test_types_that_mrc_does_not_have_keep_their_values(tmp_path, dtype):
    data = stack(dtype)
    write_dataset(Dataset((TiltSeries("A", data, [0, 1, 2]),)), tmp_path)
    assert np.array_equal(read(tmp_path / "A.mrc")["A"].data, data)


def test_integers_that_mrc_would_round_are_refused(tmp_path):
    data = stack(np.int64)
    data[0, 0, 0] = (1 << 24) + 1
    with pytest.raises(WriteError, match=r"16777217.*16777216"):
        write_dataset(Dataset((TiltSeries("A", data, [0, 1, 2]),)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_written_files_are_valid_for_others(tmp_path):
    (path,) = write_dataset(Dataset((TiltSeries("A", stack(), [0, 1, 2], 1.25),)), tmp_path)
    assert mrcfile.validate(path)
    with mrcfile.open(path) as file:
        assert file.voxel_size.x == pytest.approx(12.5)
        assert file.is_image_stack()


def test_without_a_pixel_size_one_nanometre_is_assumed_and_noted(make):
    series = read(make(voxel_size=0.0))["Al"]
    assert series.pixel_size_nm == 1.0
    assert any("1 nm is assumed" in note for note in series.notes)


def test_pixels_that_are_not_square_are_noted(make):
    series = read(make(voxel_size=(10, 12, 1)))["Al"]
    assert series.pixel_size_nm == 1.0
    assert any("1 x 1.2 nm" in note for note in series.notes)


def test_big_endian_files_become_native(make, tmp_path):
    path = make()
    raw = path.read_bytes()
    header = np.frombuffer(raw[:1024], mrcfile.dtypes.HEADER_DTYPE).copy()
    header["machst"] = mrcfile.utils.machine_stamp_from_byte_order(">")
    swapped = header.astype(header.dtype.newbyteorder(">")).tobytes()
    (tmp_path / "big.mrc").write_bytes(swapped + stack().astype(">f4").tobytes())
    (tmp_path / "big.rawtlt").write_text("1\n2\n3\n")
    data = read(tmp_path / "big.mrc")["big"].data
    assert data.dtype == np.dtype("=f4")
    assert data.dtype.isnative
    assert np.array_equal(data, stack())


def test_bytes_of_imod_have_no_sign_or_are_shifted_where_its_flag_says_so(make):
    values = np.array([0, 100, 127, -128, -1], np.int8).reshape(1, 1, 5)

    def stamp(flags):
        def change(header):
            extra = bytearray(bytes(header.extra2))
            extra[40:48] = np.array([1146047817, flags], "<i4").tobytes()
            header.extra2 = np.void(bytes(extra))

        return change

    plain = read(make(values, "plain.mrc", "0\n"))["plain"].data
    signed = read(make(values, "signed.mrc", "0\n", change=stamp(1)))["signed"].data
    assert plain.ravel().tolist() == [0, 100, 127, -128, -1]
    # IMOD takes 128 off when it writes such bytes.
    assert signed.ravel().tolist() == [128, 228, 255, 0, 127]


def test_an_extended_header_is_skipped(make, tmp_path):
    path = tmp_path / "ext.mrc"
    with mrcfile.new(path) as file:
        file.set_data(stack())
        file.set_extended_header(np.ones(300, np.uint8).view("V1"))
    path.with_suffix(".rawtlt").write_text("1\n2\n3\n")
    assert np.array_equal(read(path)["ext"].data, stack())


def test_large_files_are_mapped(make, monkeypatch):
    monkeypatch.setattr(mrc, "_MAP_FROM_BYTES", 100)
    data = read(make())["Al"].data
    assert isinstance(data.base, np.memmap) or isinstance(data, np.memmap)
    assert not data.flags.writeable
    assert np.array_equal(data, stack())


def test_an_old_file_without_mark_is_read_when_its_size_agrees(make):
    path = make()
    raw = bytearray(path.read_bytes())
    raw[208:216] = bytes(8)
    path.write_bytes(raw)
    series = read(path)["Al"]
    assert np.array_equal(series.data, stack())
    assert any("no 'MAP' mark" in note for note in series.notes)
    path.write_bytes(raw + b"more")
    assert "expected the mark of an MRC file" in message(path)


def test_bytes_after_the_data_are_noted(make):
    path = make()
    path.write_bytes(path.read_bytes() + bytes(7))
    assert any("7 bytes after the data" in note for note in read(path)["Al"].notes)


@pytest.mark.parametrize("left", [1023, 1024, 1024 + 239])
def test_a_truncated_file_is_told_from_its_size(make, left):
    path = make()
    path.write_bytes(path.read_bytes()[:left])
    said = message(path)
    assert str(path) in said
    assert f"found {left} bytes" in said
    assert ("expected 1264" in said) or left < 1024


def test_an_empty_file(make):
    path = make()
    path.write_bytes(b"")
    assert "found 0 bytes; expected an MRC file" in message(path)


def test_text_instead_of_an_mrc_file(make):
    path = make()
    path.write_text("tilt angle\n" * 200)
    assert f"{path}: found text; expected an MRC file" in message(path)


def test_noise_instead_of_an_mrc_file(make):
    path = make()
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    said = message(path)
    assert str(path) in said
    assert "expected an MRC file" in said


def test_complex_values_are_refused(make):
    path = make(stack().astype(np.complex64))
    assert "found complex 32-bit floats (MRC mode 4); expected real numbers" in message(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_located(make, value):
    data = stack()
    data[1, 2, 3] = value
    path = make(data)
    assert f"{path}: found {value} at (tilt, y, x) = (1, 2, 3); expected finite values" in message(path)


def test_a_missing_angle_file_is_named(make):
    path = make(angles=None)
    said = message(path)
    assert str(path) in said
    assert "expected Al.mrc.mdoc, Al.rawtlt, Al.tlt or Al.csv beside it" in said
    assert "--tilts" in said


def test_a_wrong_number_of_tilts_names_file_found_and_expected(make):
    path = make(angles="1\n2\n")
    said = message(path)
    assert str(path.with_suffix(".rawtlt")) in said
    assert f"found 2 tilts in {path.with_suffix('.rawtlt')}; expected 3, one for each projection" in said


def test_recorded_tilts_come_before_refined_ones(make):
    path = make()
    path.with_suffix(".tlt").write_text("-10.2\n0\n10\n")
    series = read(path)["Al"]
    assert series.tilts_deg.tolist() == [-10, 0, 10]
    assert any("Al.tlt differ" in note for note in series.notes)
    path.with_suffix(".rawtlt").unlink()
    assert read(path)["Al"].tilts_deg.tolist() == [-10.2, 0, 10]


def test_the_published_phantom(data_folder):
    dataset = read(sorted((data_folder / "phantom").glob("*.mrc")))
    assert dataset.names == ("Al_EDXsino", "HAADF_lrsino", "Si_EDXsino", "Yb_EDXsino")
    dataset.require_common_geometry()
    assert [one.data.max() for one in dataset] == [44, 150122, 11, 6]
    assert [one.kind for one in dataset] == ["counts", "intensity", "counts", "counts"]
    for one in dataset:
        assert one.shape == (36, 60, 433)
        assert one.tilts_deg.tolist() == [-5.0 * index for index in range(36)]
        assert one.pixel_size_nm == 1.0
        assert any("1 nm is assumed" in note for note in one.notes)
