"""What other programs find in our files, in the places where they look."""

from __future__ import annotations

import json

import numpy as np
import pytest

from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.data.colours import channel_colours
from chemtomo.io import read, write, write_dataset

TILTS = np.array([-60.0, -20.0, 20.0, 60.0])


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    return Dataset(
        (
            TiltSeries("HAADF", rng.random((4, 5, 6)).astype(np.float32), TILTS, 0.7),
            TiltSeries("Fe/K", rng.poisson(3.0, (4, 5, 6)).astype(np.uint16), TILTS, 0.7, "counts"),
        )
    )


@pytest.fixture
def volume():
    data = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    return Volume(data, ("HAADF", "Al"), 1.3, (0.0, 20.0, 65.0), {"steps": []})


class TomvizArrays:
    """An EMD file as the Python reader of tomviz takes it: ``dim1`` is the axis x, of VTK the fastest."""

    def __init__(self, path):
        import h5py

        with h5py.File(path, "r") as file:
            assert (file.attrs["version_major"], file.attrs["version_minor"]) == (0, 2)
            assert file["data/tomography"].attrs["emd_group_type"] == 1
            group = file["data/tomography"]
            dims = [group[f"dim{number}"] for number in (1, 2, 3)]
            self.dims = [
                (dim.attrs["name"].decode(), dim.attrs["units"].decode(), dim[:].tolist()) for dim in dims
            ]
            self.arrays = {group["data"].attrs["name"].decode(): group["data"][...]}
            scalars = group["tomviz_scalars"]
            for name in scalars:
                if isinstance(scalars.get(name, getlink=True), h5py.HardLink):
                    self.arrays[name] = scalars[name][...]
                else:
                    assert np.array_equal(scalars[name][...], group["data"][...])
        if self.dims[0][1] == "[deg]":
            # A tilt series: x and z change places.
            self.arrays = {name: array.transpose(2, 1, 0) for name, array in self.arrays.items()}


def test_tomviz_finds_a_volume_with_all_channels(tmp_path, volume):
    found = TomvizArrays(*write(volume, tmp_path / "v.emd"))
    assert list(found.arrays) == ["HAADF", "Al"]
    for name, array in found.arrays.items():
        assert np.array_equal(array, volume[name].transpose(2, 1, 0))
    assert [one[:2] for one in found.dims] == [("x", "[n_m]"), ("y", "[n_m]"), ("z", "[n_m]")]
    for (_, _, values), size in zip(found.dims, (5, 4, 3), strict=True):
        assert values == pytest.approx(1.3 * np.arange(size))


def test_tomviz_finds_a_tilt_series_with_the_tilt_axis_along_its_x(tmp_path, dataset):
    """It takes a slice at one x for a sinogram, of the axes (y, z) = (detector, tilt)."""
    found = TomvizArrays(*write_dataset(dataset, tmp_path / "s.emd"))
    assert found.dims[0] == ("angles", "[deg]", TILTS.tolist())
    assert list(found.arrays) == ["HAADF", "Fe_K"]
    for array, series in zip(found.arrays.values(), dataset, strict=True):
        for row in range(5):
            assert np.array_equal(array[row], series.data[:, row].T)


def test_hyperspy_opens_series_with_axes_units_and_titles(tmp_path, dataset):
    hyperspy = pytest.importorskip("hyperspy.api", reason="HyperSpy is not installed")
    found = {
        one.metadata.General.title: one for one in hyperspy.load(*write_dataset(dataset, tmp_path / "s.hspy"))
    }
    assert set(found) == {"HAADF", "Fe_K"}
    signal = found["Fe_K"]
    assert np.array_equal(signal.data, dataset["Fe/K"].data)
    axes = signal.axes_manager
    assert (axes.navigation_dimension, axes.signal_dimension) == (1, 2)
    tilt, x, y = axes[0], axes.signal_axes[0], axes.signal_axes[1]
    assert (tilt.name, tilt.units, tilt.axis.tolist()) == ("tilt", "deg", TILTS.tolist())
    for axis, name, size in ((x, "x", 6), (y, "y", 5)):
        assert (axis.name, axis.units, axis.size) == (name, "nm", size)
        assert axis.scale == pytest.approx(0.7)
    assert signal.metadata.Signal.quantity == "Counts"


@pytest.mark.parametrize(
    ("tilts", "name"),
    [([-60.0, -21.5, 20.0, 60.0], "tilt"), ([0.0, 20.0, -20.0, 40.0], "projection"), ([3, 2, 0, -9], "tilt")],
)
def test_hyperspy_opens_tilts_that_are_not_even_or_not_in_order(tmp_path, dataset, tilts, name):
    hyperspy = pytest.importorskip("hyperspy.api", reason="HyperSpy is not installed")
    one = dataset["HAADF"].replace(tilts_deg=tilts)
    signal = hyperspy.load(*write_dataset(Dataset((one,)), tmp_path / "s.hspy"))
    axis = signal.axes_manager[0]
    assert axis.name == name
    if name == "tilt":
        assert axis.axis.tolist() == tilts
    stage = signal.metadata.Acquisition_instrument.TEM.Stage
    assert stage.tilt_series_alpha.tolist() == tilts


def test_hyperspy_opens_volumes(tmp_path, volume):
    hyperspy = pytest.importorskip("hyperspy.api", reason="HyperSpy is not installed")
    found = {one.metadata.General.title: one for one in hyperspy.load(*write(volume, tmp_path / "v.hspy"))}
    assert np.array_equal(found["Al"].data, volume["Al"])
    axes = {one.name: one for one in found["Al"].axes_manager._axes}
    assert list(axes) == ["z", "y", "x"]
    assert [one.offset for one in axes.values()] == pytest.approx([0, 26, 84.5])
    assert {one.units for one in axes.values()} == {"nm"}


def test_what_hyperspy_changed_counts_and_not_what_was_written_before(tmp_path, dataset):
    hyperspy = pytest.importorskip("hyperspy.api", reason="HyperSpy is not installed")
    given = Dataset((dataset["HAADF"].replace(gains=[1, 2, 3, 4]),))
    signal = hyperspy.load(*write_dataset(given, tmp_path / "s.hspy"))
    signal.inav[1:].save(tmp_path / "cut.hspy")
    found = read(tmp_path / "cut.hspy")["HAADF"]
    assert found.tilts_deg.tolist() == TILTS[1:].tolist()
    assert np.array_equal(found.values(), given["HAADF"].data[1:])
    for axis in signal.axes_manager.signal_axes:
        axis.scale = 5.0
    signal.save(tmp_path / "scaled.hspy")
    assert read(tmp_path / "scaled.hspy")["HAADF"].pixel_size_nm == 5.0


def test_ome_tiff_says_names_colours_and_sizes(tmp_path, dataset, volume):
    import tifffile

    for thing, name, axes, save in ((dataset, "s", "CTYX", write_dataset), (volume, "v", "CZYX", write)):
        names = list(thing.names)
        path = tmp_path / f"{name}.ome.tif"
        save(thing, path)
        with tifffile.TiffFile(path) as file:
            described = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
            assert file.is_ome
            if name == "v":
                assert file.series[0].axes == axes
                assert np.array_equal(file.series[0].asarray(), volume.data)
        images = described if isinstance(described, list) else [described]
        channels = [
            channel
            for image in images
            for channel in (
                image["Pixels"]["Channel"]
                if isinstance(image["Pixels"]["Channel"], list)
                else [image["Pixels"]["Channel"]]
            )
        ]
        assert [one["Name"] for one in channels] == names
        for image in images:
            assert image["Pixels"]["PhysicalSizeX"] == pytest.approx(0.7 if name == "s" else 1.3)
            assert image["Pixels"]["PhysicalSizeXUnit"] == "nm"
        colours = [(int(one["Color"]) & 0xFFFFFFFF) >> 8 for one in channels]
        if name == "v":
            assert [f"#{one:06x}" for one in colours] == list(channel_colours(names))
    assert [float(line) for line in (tmp_path / "s.rawtlt").read_text().split()] == TILTS.tolist()


def test_ome_zarr_is_what_its_specification_says(tmp_path, dataset, volume):
    models = pytest.importorskip("ome_zarr_models.v04", reason="ome-zarr-models is not installed")
    import zarr

    write(volume, tmp_path / "v.zarr")
    write_dataset(dataset, tmp_path / "s.zarr")
    for inside, names in (("v.zarr", ["HAADF", "Al"]), ("s.zarr/0", ["HAADF"]), ("s.zarr/1", ["Fe/K"])):
        image = models.Image.from_zarr(zarr.open_group(tmp_path / inside, mode="r"))
        assert [channel.label for channel in image.attributes.omero.channels] == names


def test_series_that_are_alike_are_one_image_of_ome_zarr(tmp_path):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    rng = np.random.default_rng(0)
    both = [TiltSeries(name, rng.poisson(3.0, (2, 5, 200)).astype(np.uint16), [0, 9], 0.7) for name in "AB"]
    (path,) = write_dataset(Dataset(tuple(both)), tmp_path / "s.zarr")
    (node,) = Reader(parse_url(path))()
    assert [axis["name"] for axis in node.metadata["axes"]] == ["t", "c", "y", "x"]
    assert node.metadata["channel_names"] == ["A", "B"]
    full, half = (np.asarray(one) for one in node.data)
    assert np.array_equal(full, np.stack([one.data for one in both], axis=1))
    assert half.shape == (2, 2, 3, 100)
    assert half[1, 0, 0, 0] == np.rint(both[0].data[1, :2, :2].mean())
    other = TiltSeries("C", rng.random((3, 4, 4)), [0, 1, 2], 0.7)
    write_dataset(Dataset((*both, other)), tmp_path / "two.zarr")
    assert json.loads((tmp_path / "two.zarr" / ".zattrs").read_text())["bioformats2raw.layout"] == 3
    for inside, names in (("0", ["A", "B"]), ("1", ["C"])):
        (node,) = Reader(parse_url(tmp_path / "two.zarr" / inside))()
        assert node.metadata["channel_names"] == names


@pytest.mark.parametrize("name", ["s.zarr", "s.tif", "s.emd", "s.hspy", "s.mrc"])
def test_writing_series_warns_of_nothing(tmp_path, dataset, name, recwarn):
    read(write_dataset(dataset, tmp_path / name))
    assert not [str(one.message) for one in recwarn]
