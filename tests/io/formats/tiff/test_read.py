import numpy as np
import pytest
import tifffile

from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io import read
from chemtomo.io.formats.tiff import read as tiff

TILTS = "1:1:5"


def stack(dtype=np.uint16):
    return np.arange(5 * 6 * 7).reshape(5, 6, 7).astype(dtype)


def write(path, data, **options):
    tifffile.imwrite(path, data, photometric="minisblack", **options)
    return path


def message(path, **options):
    with pytest.raises(ReadError) as caught:
        read(path, tilts=TILTS, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}, {"bigtiff": True}])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_a_plain_stack_keeps_its_values_and_type(tmp_path, dtype, options):
    series = read(write(tmp_path / "Al.tif", stack(dtype), **options), tilts=TILTS)["Al"]
    assert series.data.dtype == dtype
    assert np.array_equal(series.data, stack(dtype))
    assert any("1 nm is assumed" in note for note in series.notes)


def test_pages_that_were_written_one_by_one_are_a_stack(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for page in stack():
            file.write(page, compression="zlib", contiguous=False)
    assert np.array_equal(read(path, tilts=TILTS)["a"].data, stack())


@pytest.mark.parametrize(
    ("unit", "size"), [("nm", 0.5), ("micron", 500), ("\\u00B5m", 500), ("angstrom", 0.05)]
)
def test_imagej_says_the_pixel_size(tmp_path, unit, size):
    path = write(
        tmp_path / "a.tif", stack(), imagej=True, resolution=(2, 2), metadata={"unit": unit, "axes": "ZYX"}
    )
    assert read(path, tilts=TILTS)["a"].pixel_size_nm == size


def test_the_resolution_for_printers_is_no_pixel_size(tmp_path):
    path = write(tmp_path / "a.tif", stack(), resolution=(300, 300), resolutionunit="INCH")
    assert any("no pixel size" in note for note in read(path, tilts=TILTS)["a"].notes)
    path = write(tmp_path / "b.tif", stack(), resolution=(2e7, 2e7), resolutionunit="CENTIMETER")
    assert read(path, tilts=TILTS)["b"].pixel_size_nm == 0.5


@pytest.mark.parametrize("axes", ["CTYX", "TCYX", "CZYX", "ZCYX"])
def test_channels_of_an_ome_tiff_become_series_with_their_names(tmp_path, axes):
    data = np.stack([stack(), stack() + 1000], axis=axes.index("C"))
    metadata = {
        "axes": axes,
        "PhysicalSizeX": 1.5,
        "PhysicalSizeXUnit": "nm",
        "Channel": {"Name": ["Fe Ka", "Co Ka"]},
    }
    dataset = read(write(tmp_path / "a.ome.tif", data, metadata=metadata), tilts=TILTS)
    assert dataset.names == ("Fe Ka", "Co Ka")
    assert np.array_equal(dataset["Fe Ka"].data, stack())
    assert np.array_equal(dataset["Co Ka"].data, stack() + 1000)
    assert [one.pixel_size_nm for one in dataset] == [1.5, 1.5]


def test_images_of_an_ome_tiff_may_differ_in_size(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for name, data, size in (("HAADF", stack(), 0.001), ("Al", stack()[:, ::2, ::2], 0.002)):
            metadata = {"axes": "TYX", "Channel": {"Name": [name]}, "PhysicalSizeX": size}
            file.write(data, photometric="minisblack", metadata=metadata)
    dataset = read(path, tilts=TILTS)
    assert [(one.name, one.shape, one.pixel_size_nm) for one in dataset] == [
        ("HAADF", (5, 6, 7), 1),
        ("Al", (5, 3, 4), 2),
    ]


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_large_files_are_read_when_they_are_needed(tmp_path, monkeypatch, compression):
    monkeypatch.setattr(tiff, "_MAP_FROM_BYTES", 100)
    data = np.stack([stack(), stack() + 1])
    path = write(tmp_path / "a.ome.tif", data, compression=compression, metadata={"axes": "CTYX"})
    dataset = read(path, tilts=TILTS)
    assert all(one.is_lazy for one in dataset)
    assert np.array_equal(dataset.series[0].values(), data[0])
    assert np.array_equal(dataset.series[1].values(), data[1])
    if compression is not None:
        path.unlink()
        with pytest.raises(ReadError, match=r"a\.ome\.tif"):
            dataset.series[0].values()


def test_tilts_are_in_a_file_beside_it(tmp_path):
    path = write(tmp_path / "a.tif", stack())
    path.with_suffix(".rawtlt").write_text("1\n2\n3\n4\n5\n")
    assert read(path)["a"].tilts_deg.tolist() == [1, 2, 3, 4, 5]


def test_colours_and_more_axes_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((6, 7, 3), np.uint8), photometric="rgb")
    assert "found an image in colours" in message(tmp_path / "rgb.tif")
    path = write(tmp_path / "a.ome.tif", np.zeros((2, 5, 6, 7), np.uint8), metadata={"axes": "TZYX"})
    assert "found the axes" in message(path)
    with pytest.raises(NoTiltSeriesError):
        read(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_a_truncated_file_is_named(tmp_path, compression, part):
    path = write(
        tmp_path / "a.tif", np.random.default_rng(0).integers(0, 99, (5, 60, 70)), compression=compression
    )
    raw = path.read_bytes()
    path.write_bytes(raw[: int(part * len(raw))])
    message(path)


def test_pages_that_were_lost_are_an_error_and_not_a_shorter_stack(tmp_path, capfd):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for page in stack():
            file.write(page, photometric="minisblack", contiguous=False, metadata=None)
    with tifffile.TiffFile(path) as file:
        third = file.pages[2].offset
    raw = bytearray(path.read_bytes())
    at = raw.index(third.to_bytes(4, "little"))
    raw[at : at + 4] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(ReadError, match="found a broken list of pages"):
        read(path, tilts="0:1:2")
    assert capfd.readouterr().err == ""


def test_what_is_no_tiff_file(tmp_path):
    for content in (b"", b"II*\0", b"II*\0\xff\xff\xff\x7f", b"hello" * 100, bytes(3000)):
        path = tmp_path / "a.tif"
        path.write_bytes(content)
        message(path)


def test_a_size_that_cannot_be_is_refused_before_any_memory_is_taken(tmp_path):
    path = write(tmp_path / "a.tif", stack(), metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as file:
        for page in file.pages:
            page.tags["ImageLength"].overwrite(1 << 30)
            page.tags["ImageWidth"].overwrite(1 << 30)
    assert "truncated" in message(path) or "damaged" in message(path)
