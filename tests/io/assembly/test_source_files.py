"""What is no tilt series in a folder is left out and named; what belongs to another file is read once."""

import numpy as np
import pytest
import tifffile
from tests.io.assembly.test_tilt_series import write_series
from tests.io.formats.rosetta.digital_micrograph_writing import write_dm3

from chemtomo.errors import ReadError
from chemtomo.io import read
from chemtomo.io.assembly.source_files import list_source_files
from chemtomo.io.formats import registry as formats

RGB = np.random.default_rng(0).integers(0, 255, (6, 7, 3)).astype(np.uint8)


def tiff(path):
    tifffile.imwrite(path, RGB, photometric="rgb")


def planes(path):
    tifffile.imwrite(path, RGB.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")


def mrc_of_mode(mode, size):
    def write(path):
        header = bytearray(1024)
        header[:16] = np.array([7, 6, 1, mode], "<i4").tobytes()
        header[208:212] = b"MAP "
        path.write_bytes(bytes(header) + bytes(6 * 7 * size))

    return write


def digital_micrograph(path, monkeypatch):
    import rsciio.digitalmicrograph as library

    write_dm3(path, np.zeros((4, 5), np.uint16), [(1, 0, "nm")] * 2, {})

    def refuse(*arguments, **options):
        raise ValueError("Lazy loading of RGBA images is not supported. Please open it without lazy")

    monkeypatch.setattr(library, "file_reader", refuse)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("c.tif", tiff),
        ("c.tif", planes),
        ("c.mrc", mrc_of_mode(16, 3)),
        ("c.mrc", mrc_of_mode(4, 8)),
        ("c.dm3", digital_micrograph),
    ],
)
def test_an_image_in_colours_or_of_complex_numbers_is_left_out_of_a_folder(
    tmp_path, monkeypatch, name, write
):
    write_series(tmp_path, "HAADF", [-1, 0, 1])
    path = tmp_path / name
    if write is digital_micrograph:
        write(path, monkeypatch)
    else:
        write(path)
    (series,) = read(tmp_path)
    assert series.name == "HAADF"
    assert any(f"left out: {name} (found" in note for note in series.notes)
    with pytest.raises(ReadError, match=rf"{name}: found"):
        read(path)


def test_files_of_a_jeol_project_are_read_with_it_only(tmp_path):
    (tmp_path / "a.ASW").write_bytes(b"\0\x01Sample\\00_View001\\View001_0000000.img\0\x02")
    for name in ("View001_0000000.img", "other.img"):
        (tmp_path / name).write_bytes(b"x")
    assert sorted(one.path.name for one in list_source_files([tmp_path])) == ["a.ASW", "other.img"]


def test_files_of_a_jeol_project_in_folders_of_an_archive_are_read_with_it_only(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.ASW", b"Sample\\00_View001\\View001_0000000.img\0")
        archive.writestr("Sample/00_View001/View001_0000000.img", b"x")
        archive.writestr("Sample/00_View001/other.img", b"x")
    assert sorted(one.path.name for one in list_source_files([tmp_path / "a.zip"])) == ["a.ASW", "other.img"]


def test_images_of_a_tia_header_are_read_with_it_only(tmp_path):
    for name in ("a.emi", "a_1.ser", "a_2.ser", "b_1.ser"):
        (tmp_path / name).write_bytes(b"x")
    assert sorted(one.path.name for one in list_source_files([tmp_path])) == ["a.emi", "b_1.ser"]
    assert formats.format_of(tmp_path / "a.emi") is not None
