import io
import zipfile

import numpy as np
import pytest

from chemtomo.errors import ReadError
from chemtomo.io import read
from chemtomo.io.formats.numpy import read as numpy_files


def stack(dtype=np.float32):
    return np.arange(5 * 6 * 7).reshape(5, 6, 7).astype(dtype)


def message(path):
    with pytest.raises(ReadError) as caught:
        read(path, tilts="0:1:5")
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["f4", ">f4", "u2", "i8", "f8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_stack_keeps_its_values(tmp_path, dtype, order):
    np.save(tmp_path / "Al.npy", np.asarray(stack(dtype), order=order))
    series = read(tmp_path / "Al.npy", tilts="-10:5:5")["Al"]
    assert np.array_equal(series.data, stack(dtype))
    assert series.data.dtype.isnative
    assert series.tilts_deg.tolist() == [-10, -5, 0, 5, 10]


def test_four_axes_are_channels_and_that_is_said(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([stack(), stack() + 1]))
    dataset = read(tmp_path / "a.npy", tilts="0:1:5")
    assert dataset.names == ("a 1", "a 2")
    assert np.array_equal(dataset["a 2"].data, stack() + 1)
    assert any("taken for 2 channels" in note for note in dataset["a 1"].notes)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("key", ["tilts_deg", "tilts", "angles"])
def test_an_archive_has_named_stacks_tilts_and_pixel_size(tmp_path, save, key):
    save(tmp_path / "a.npz", HAADF=stack(), Al=stack() + 1, pixel_size_nm=2.5, **{key: np.arange(5.0)})
    dataset = read(tmp_path / "a.npz")
    assert dataset.names == ("HAADF", "Al")
    assert np.array_equal(dataset["Al"].data, stack() + 1)
    for one in dataset:
        assert one.tilts_deg.tolist() == [0, 1, 2, 3, 4]
        assert one.pixel_size_nm == 2.5


def test_large_files_are_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(numpy_files, "_MAP_FROM_BYTES", 100)
    np.save(tmp_path / "a.npy", stack())
    series = read(tmp_path / "a.npy", tilts="0:1:5")["a"]
    assert series.is_lazy
    assert np.array_equal(series.values(), stack())


def test_what_is_wrong_with_an_archive(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=stack(), pixel_size_nm=-1)
    assert "pixel_size_nm: found -1; expected one positive number" in message(path)
    np.savez(path, a=np.arange(3))
    assert "found the arrays a; expected one of the axes (tilt, y, x)" in message(path)
    np.savez(path, a=np.array([{"an": "object"}], dtype=object))
    assert "expected real numbers" in message(path)


@pytest.mark.parametrize("wrong", [np.arange(4), np.zeros((5, 2)), np.array(3.0)])
def test_tilts_of_another_number_are_an_error_unless_others_are_given(tmp_path, wrong):
    path = tmp_path / "a.npz"
    np.savez(path, a=stack(), tilts=wrong)
    with pytest.raises(ReadError, match=f"found {wrong.size} tilts in the file itself; expected 5"):
        read(path)
    (series,) = read(path, tilts="0:2:5")
    assert series.tilts_deg.tolist() == [0, 2, 4, 6, 8]
    (tmp_path / "a.rawtlt").write_text("1\n2\n3\n4\n5\n", encoding="utf-8")
    (series,) = read(path)
    assert series.tilts_deg.tolist() == [1, 2, 3, 4, 5]
    assert any(f"has {wrong.size} tilts for 5 projections and is not used" in note for note in series.notes)


def test_a_header_that_claims_more_than_the_file_holds(tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f4", "fortran_order": False, "shape": (1 << 20, 1 << 20, 1 << 20)}
    )
    (tmp_path / "a.npy").write_bytes(head.getvalue() + bytes(100))
    assert "truncated: found" in message(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", head.getvalue() + bytes(100))
    assert "expected more than" in message(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"\x93NUMPY\1\0\xff\xff{", b"PK\3\4", b"text" * 99])
def test_what_is_no_file_of_numpy(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    message(tmp_path / name)


def test_a_truncated_file_is_named(tmp_path):
    for name, save in (("a.npy", np.save), ("b.npz", lambda path, data: np.savez(path, a=data))):
        path = tmp_path / name
        save(path, stack())
        path.write_bytes(path.read_bytes()[:-300])
        message(path)


@pytest.mark.parametrize("entry", [{"a": 1}, "text", np.array([1j, 2j]), np.array([{}, None], dtype=object)])
def test_an_entry_that_is_no_array_of_real_numbers_is_left_out_and_named(tmp_path, entry):
    data = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
    np.savez(tmp_path / "a.npz", Al=data, tilts_deg=np.arange(3), extra=np.asarray(entry))
    (series,) = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(series.values(), data)
    assert any("extra" in note and "left out" in note for note in series.notes)
    np.savez(tmp_path / "b.npz", extra=np.asarray(entry))
    with pytest.raises(ReadError, match=r"b\.npz.*extra"):
        read(tmp_path / "b.npz")
