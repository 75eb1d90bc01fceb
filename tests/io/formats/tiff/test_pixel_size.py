"""Pixel sizes of TIFF files, as programs and makers of microscopes write them."""

import struct

import numpy as np
import pytest
import tifffile

from chemtomo.io import read

DATA = np.arange(5 * 6 * 8, dtype=np.uint16).reshape(5, 6, 8)


def series(path, **options):
    tifffile.imwrite(path, DATA, photometric="minisblack", **options)
    (found,) = read(path, tilts="1:1:5")
    return found


@pytest.mark.parametrize(
    ("unit", "size"),
    [("microns", 500), ("Micron", 500), ("µm", 500), ("\\u00B5m", 500), ("NM", 0.5), ("Angstrom", 0.05)],
)
def test_units_of_imagej(tmp_path, unit, size):
    metadata = {"unit": unit.encode("latin-1").decode("latin-1"), "axes": "ZYX"}
    if unit == "µm":
        metadata["unit"] = "\\u00B5m"
    found = series(tmp_path / "a.tif", imagej=True, resolution=(2, 2), metadata=metadata)
    assert found.pixel_size_nm == size


@pytest.mark.parametrize("unit", ["px", "pixel", "pixels", "inch", "au"])
def test_a_unit_of_imagej_that_is_no_length_is_noted_as_it_is_written(tmp_path, unit):
    found = series(tmp_path / "a.tif", imagej=True, resolution=(2, 2), metadata={"unit": unit, "axes": "ZYX"})
    assert found.pixel_size_nm == 1
    assert any(repr(unit) in note for note in found.notes)
    assert any("1 nm is assumed" in note for note in found.notes)


def test_pixels_of_imagej_that_are_not_square_are_noted(tmp_path):
    metadata = {"unit": "nm", "axes": "ZYX"}
    found = series(tmp_path / "a.tif", imagej=True, resolution=(2, 4), metadata=metadata)
    assert found.pixel_size_nm == 0.5
    assert any("0.5 x 0.25 nm (x, y)" in note for note in found.notes)


def test_pixels_of_an_ome_tiff_that_are_not_square_are_noted(tmp_path):
    metadata = {"axes": "TYX", "PhysicalSizeX": 2.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.003}
    found = series(tmp_path / "a.ome.tif", metadata=metadata)
    assert found.pixel_size_nm == 2
    assert any("2 x 3 nm (x, y)" in note for note in found.notes)


@pytest.mark.parametrize("unit", ["pixel", "reference frame", "ly"])
def test_every_legal_unit_of_an_ome_tiff_is_read(tmp_path, unit):
    metadata = {"axes": "TYX", "PhysicalSizeX": 2.0, "PhysicalSizeXUnit": unit}
    found = series(tmp_path / "a.ome.tif", metadata=metadata)
    assert found.pixel_size_nm == 1
    np.testing.assert_array_equal(found.values(), DATA)
    assert any(repr(unit) in note for note in found.notes)


def test_a_size_of_an_ome_tiff_that_is_no_number_is_none(tmp_path):
    found = series(tmp_path / "a.ome.tif", metadata={"axes": "TYX", "PhysicalSizeX": "unknown"})
    assert any("1 nm is assumed" in note for note in found.notes)


def tags_of_digital_micrograph(x, y, unit):
    return [
        (65003, "s", 0, unit, True),
        (65004, "s", 0, unit, True),
        (65009, "d", 1, x, True),
        (65010, "d", 1, y, True),
    ]


@pytest.mark.parametrize(("unit", "factor"), [("nm", 1), ("um", 1e3), ("A", 0.1)])
def test_private_tags_of_digital_micrograph(tmp_path, unit, factor):
    tags = tags_of_digital_micrograph(1.25, 1.25, unit)
    found = series(tmp_path / "a.tif", extratags=tags, resolution=(72, 72), metadata=None)
    assert found.pixel_size_nm == pytest.approx(1.25 * factor)
    found = series(tmp_path / "b.tif", extratags=tags_of_digital_micrograph(1, 2, unit), metadata=None)
    assert any("(x, y)" in note for note in found.notes)


def fei(scan):
    return [(34682, "s", 0, "[User]\r\nUser=a\r\n" + scan, True)]


@pytest.mark.parametrize(
    "scan",
    [
        "[Scan]\r\nPixelWidth=2.5e-9\r\nPixelHeight=2.5e-9\r\n",
        "[IRBeam]\r\nHFW=2e-8\r\nVFW=1.5e-8\r\n[Image]\r\nResolutionX=8\r\nResolutionY=6\r\n",
    ],
)
def test_private_tag_of_fei(tmp_path, scan):
    found = series(tmp_path / "a.tif", extratags=fei(scan), metadata=None)
    assert found.pixel_size_nm == pytest.approx(2.5)


def test_private_tag_of_zeiss(tmp_path):
    """The pixel size is the fourth number without a name, for 1024 columns."""
    text = "0\r\n0\r\n0\r\n1e-11\r\nAP_MAG\r\nMag = 10 X\r\n"
    found = series(tmp_path / "a.tif", extratags=[(34118, "s", 0, text, True)], metadata=None)
    assert found.pixel_size_nm == pytest.approx(0.01 * 1024 / 8)


def test_private_tag_of_olympus(tmp_path):
    path = tmp_path / "a.tif"
    # Where the data of its only entry are, is known once the file is written.
    head = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 0, 0, 1, 1, 120, b"a", 1)
    entry = struct.pack("<hhI", 1, 1, 0)
    general = struct.pack("<10xhdd8xd2x34s32s", -9, 1.5, 1.5, 100.0, b"c", b"p")
    block = head + entry + general
    tifffile.imwrite(
        path, DATA, photometric="minisblack", metadata=None, extratags=[(33560, 7, len(block), block, True)]
    )
    raw = bytearray(path.read_bytes())
    at = raw.index(block)
    start = at + len(head) + len(entry)
    raw[at + len(head) : start] = struct.pack("<hhI", 1, 1, start)
    path.write_bytes(raw)
    (found,) = read(path, tilts="1:1:5")
    assert found.pixel_size_nm == pytest.approx(1.5)


def test_private_tags_that_are_damaged_are_no_pixel_size(tmp_path):
    for name, tags in {
        "zeiss": [(34118, "s", 0, "nothing\r\n", True)],
        "fei": fei("[Scan]\r\nPixelWidth=wide\r\nPixelHeight=2.5e-9\r\n"),
        "dm": tags_of_digital_micrograph(float("nan"), 1.0, "nm"),
    }.items():
        found = series(tmp_path / f"{name}.tif", extratags=tags, metadata=None)
        assert any("1 nm is assumed" in note for note in found.notes), name


@pytest.mark.parametrize("bits", [1, 4])
def test_pixels_of_less_than_a_byte_are_read(tmp_path, bits):
    """As masks and segmentations are saved; tifffile decodes one bit without help, more with imagecodecs."""
    mask = np.random.default_rng(0).random((5, 40, 64)) > 0.5
    path = tmp_path / "a.tif"
    if bits == 1:
        tifffile.imwrite(path, mask, photometric="minisblack", metadata=None)
    else:
        pytest.importorskip("imagecodecs")
        tifffile.imwrite(
            path, mask.astype(np.uint8), bitspersample=4, photometric="minisblack", metadata=None
        )
    (found,) = read(path, tilts="1:1:5")
    np.testing.assert_array_equal(found.values(), mask)
