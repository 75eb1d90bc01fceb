import json
import warnings

import mrcfile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemtomo.data import Volume
from chemtomo.data.colours import channel_colours
from chemtomo.errors import ReadError, WriteError
from chemtomo.io import check_output, is_volume, read_volume, write
from chemtomo.io.formats.mrc import write as mrc
from chemtomo.io.formats.ome_zarr import write as ome_zarr

RECIPE = {"version": "0.1", "steps": [{"step": "reconstruct", "mu": {"Al": 0.5}, "slices": [1, 4]}]}


def volume(names=("HAADF", "Al"), shape=(3, 4, 5), **changes):
    data = np.random.default_rng(7).random((len(names), *shape)).astype(np.float32)
    given_arguments = {"voxel_size_nm": 1.3, "origin_px": (0.0, 20.0, 65.0), "provenance": RECIPE}
    return Volume(data, names, **{**given_arguments, **changes})


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", ["v.zarr", "v.ome.tif", "v.mrc", "v.emd", "v.hspy", "v.npz"])
@settings(max_examples=12)
@given(
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    names=st.lists(st.text(min_size=1, max_size=120), min_size=1, max_size=3, unique=True),
    size=st.floats(0.01, 100),
    origin=st.tuples(*[st.integers(0, 500).map(lambda halves: halves / 2)] * 3),
)
def test_a_volume_is_read_back_exactly(tmp_path_factory, name, shape, names, size, origin):
    given_volume = volume(tuple(names), shape, voxel_size_nm=size, origin_px=origin)
    path = tmp_path_factory.mktemp("volume") / name
    written = write(given_volume, path)
    assert all(one.exists() for one in written)
    assert not written.notes
    assert is_volume(written[0])
    found = read_volume(path)
    assert np.array_equal(found.data, given_volume.data)
    assert found.data.dtype == np.float32
    assert found.names == given_volume.names
    assert found.voxel_size_nm == size
    assert found.origin_px == origin
    assert found.provenance == RECIPE


def test_what_another_program_would_read_is_read_without_our_description(tmp_path):
    """The places of the formats themselves say the same as our description."""
    import h5py
    import tifffile
    import zarr

    given_volume = volume()
    write(given_volume, tmp_path / "v.zarr")
    group = zarr.open_group(tmp_path / "v.zarr")
    del group.attrs["chemtomo"]
    found = read_volume(tmp_path / "v.zarr")
    assert (found.names, found.voxel_size_nm) == (given_volume.names, 1.3)
    assert found.origin_px == pytest.approx((0, 20, 65))

    write(given_volume, tmp_path / "v.emd")
    with h5py.File(tmp_path / "v.emd", "a") as file:
        del file["data/tomography/chemtomo"]
    found = read_volume(tmp_path / "v.emd")
    assert found.names == given_volume.names
    assert found.voxel_size_nm == pytest.approx(1.3)
    assert np.array_equal(found.data, given_volume.data)

    tifffile.imwrite(
        tmp_path / "v.ome.tif",
        given_volume.data,
        metadata={"axes": "CZYX", "PhysicalSizeX": 13.0, "PhysicalSizeXUnit": "angstrom"},
        photometric="minisblack",
    )
    found = read_volume(tmp_path / "v.ome.tif")
    assert np.array_equal(found.data, given_volume.data)
    assert found.voxel_size_nm == pytest.approx(1.3)

    write(given_volume, tmp_path / "v.mrc")
    (tmp_path / "v.chemtomo.json").unlink()
    found = read_volume(tmp_path / "v_Al.mrc")
    assert np.array_equal(found.data[0], given_volume["Al"])
    assert found.voxel_size_nm == pytest.approx(1.3)


def test_the_channel_names_of_another_programs_ome_tiff_are_those_of_the_volume(tmp_path):
    import tifffile

    metadata = {"axes": "CZYX", "Channel": {"Name": ["HAADF", "Al"]}}
    values = np.random.default_rng(3).random((2, 3, 4, 5)).astype(np.float32)
    tifffile.imwrite(tmp_path / "v.ome.tif", values, metadata=metadata, photometric="minisblack")
    found = read_volume(tmp_path / "v.ome.tif")
    assert found.names == ("HAADF", "Al")
    assert np.array_equal(found["Al"], values[1])


@pytest.mark.parametrize("unit", ["pixel", "reference frame"])
def test_a_volume_in_a_unit_that_is_no_length_has_voxels_of_1_nm(tmp_path, unit):
    import tifffile

    metadata = {"axes": "ZYX", "PhysicalSizeX": 2.0, "PhysicalSizeXUnit": unit}
    tifffile.imwrite(tmp_path / "v.ome.tif", np.ones((3, 4, 5), np.float32), metadata=metadata)
    assert read_volume(tmp_path / "v.ome.tif").voxel_size_nm == 1


def test_one_channel_of_several_mrc_files_is_read_alone(tmp_path):
    given_volume = volume()
    _, path, _ = write(given_volume, tmp_path / "v.mrc")
    found = read_volume(path)
    assert found.names == ("Al",)
    assert np.array_equal(found["Al"], given_volume["Al"])
    assert found.origin_px == given_volume.origin_px


def test_large_images_have_smaller_levels_of_local_means(tmp_path):
    import zarr

    rng = np.random.default_rng(1)
    given_volume = Volume(rng.random((2, 5, 195, 4)).astype(np.float32), ("A", "B"), 2.0)
    write(given_volume, tmp_path / "v.zarr")
    group = zarr.open_group(tmp_path / "v.zarr", mode="r")
    datasets = group.attrs["multiscales"][0]["datasets"]
    assert [one["path"] for one in datasets] == ["0", "1"]
    smaller = group["1"][...]
    assert smaller.shape == (2, 3, 98, 2)
    assert smaller[0, 0, 0, 0] == pytest.approx(given_volume.data[0, :2, :2, :2].mean())
    # The last of an odd axis has no partner.
    assert smaller[1, 2, 97, 1] == pytest.approx(given_volume.data[1, 4:, 194:, 2:].mean())
    scale, shift = datasets[1]["coordinateTransformations"]
    assert scale["scale"] == [1, 4, 4, 4]
    # The centre of the first pixel is between those of the two that it is the mean of.
    assert shift["translation"] == [0, 1, 1, 1]


def test_chunks_larger_than_one_are_joined(tmp_path, monkeypatch):
    monkeypatch.setattr(ome_zarr, "_CHUNK", 2)
    given_volume = volume()
    write(given_volume, tmp_path / "v.zarr")
    assert np.array_equal(read_volume(tmp_path / "v.zarr").data, given_volume.data)


def test_ome_zarr_readers_see_axes_scale_names_and_colours(tmp_path):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    given_volume = volume()
    path = tmp_path / "v.zarr"
    write(given_volume, path)
    (node,) = Reader(parse_url(path))()
    assert [axis["name"] for axis in node.metadata["axes"]] == ["c", "z", "y", "x"]
    assert [axis.get("unit") for axis in node.metadata["axes"]] == [None] + ["nanometer"] * 3
    scale, translation = node.metadata["coordinateTransformations"][0]
    assert scale["scale"] == [1, 1.3, 1.3, 1.3]
    assert translation["translation"] == pytest.approx([0, 0, 26, 84.5])
    assert node.metadata["channel_names"] == ["HAADF", "Al"]
    colours = [int(c[i : i + 2], 16) / 255 for c in channel_colours(("HAADF", "Al")) for i in (1, 3, 5)]
    assert np.ravel([map_[1] for map_ in node.metadata["colormap"]]) == pytest.approx(colours)
    assert np.array_equal(np.asarray(node.data[0]), given_volume.data)
    for low, high in node.metadata["contrast_limits"]:
        assert low == 0 < high <= 1


@pytest.mark.parametrize("value", [0.0, -2.0, 3.0])
def test_a_constant_channel_has_a_contrast_window(tmp_path, value):
    flat = Volume(np.full((1, 2, 2, 2), value, np.float32), ("Al",))
    write(flat, tmp_path / "v.zarr")
    (channel,) = json.loads((tmp_path / "v.zarr" / ".zattrs").read_text())["omero"]["channels"]
    window = channel["window"]
    assert window["min"] <= window["start"] < window["end"] <= window["max"]


def test_mrc_has_a_file_for_every_channel_and_the_recipe(tmp_path):
    given_volume = volume(("HAADF", "Al/Si", "Al:Si"))
    written = write(given_volume, tmp_path / "out.mrc")
    assert [path.name for path in written] == [
        "out_HAADF.mrc",
        "out_Al_Si.mrc",
        "out_Al_Si_2.mrc",
        "out.chemtomo.json",
    ]
    assert json.loads(written[-1].read_text())["recipe"] == RECIPE
    for path, channel in zip(written, given_volume.data, strict=False):
        assert mrcfile.validate(path)
        with mrcfile.open(path) as file:
            assert np.array_equal(file.data, channel)
            assert file.is_volume()
            assert [file.voxel_size[axis] for axis in "xyz"] == pytest.approx([13] * 3)
            assert [file.header.origin[axis].item() for axis in "zyx"] == pytest.approx([0, 260, 845])


def test_a_recipe_of_numpy_numbers_becomes_plain_json(tmp_path):
    recipe = {"tolerance": np.float32(0.5), "range": (np.int64(1), 2), "file": tmp_path}
    write(volume(provenance=recipe), tmp_path / "v.zarr")
    assert read_volume(tmp_path / "v.zarr").provenance == {
        "tolerance": 0.5,
        "range": [1, 2],
        "file": str(tmp_path),
    }


@pytest.mark.parametrize("name", ["v.zarr", "v.mrc", "v.tif", "v.emd", "v.hspy", "v.npz"])
def test_an_old_result_is_replaced_whole(tmp_path, name):
    write(volume(("A", "B", "C"), (9, 9, 9)), tmp_path / name)
    write(volume(("A", "B", "C")), tmp_path / name, overwrite=True)
    left = files(tmp_path)
    assert not [path for path in left if "part" in path or "old" in path]
    assert read_volume(tmp_path / name).shape == (3, 4, 5)


@pytest.mark.parametrize("name", ["v.zarr", "v.mrc", "v.tif", "v.emd", "v.hspy", "v.npz"])
def test_what_is_there_stays_unless_it_may_be_overwritten(tmp_path, name):
    write(volume(), tmp_path / name)
    with pytest.raises(WriteError, match="exists already"):
        write(volume(voxel_size_nm=9.0), tmp_path / name)
    assert read_volume(tmp_path / name).voxel_size_nm == 1.3


@pytest.mark.parametrize("name", ["v.zarr", "v.mrc"])
def test_a_failed_write_leaves_the_old_result_and_no_debris(tmp_path, name, monkeypatch):
    write(volume(), tmp_path / name)
    before = {path: (tmp_path / path).read_bytes() for path in files(tmp_path) if (tmp_path / path).is_file()}
    calls = []

    def fail_at_the_second(*arguments, **keywords):
        calls.append(arguments)
        if len(calls) == 2 or name == "v.zarr":
            raise OSError(28, "No space left on device")
        return write_stack(*arguments, **keywords)

    write_stack = mrc.write_stack
    monkeypatch.setattr(mrc, "write_stack", fail_at_the_second)
    monkeypatch.setattr(ome_zarr, "_omero", fail_at_the_second)
    with pytest.raises(WriteError, match="no space left"):
        write(volume(voxel_size_nm=99.0), tmp_path / name, overwrite=True)
    assert calls
    after = {path: (tmp_path / path).read_bytes() for path in files(tmp_path) if (tmp_path / path).is_file()}
    assert after == before


def test_what_is_no_image_is_not_replaced(tmp_path):
    (tmp_path / "thesis.zarr").mkdir()
    (tmp_path / "thesis.zarr" / "chapter.txt").write_text("years of work")
    with pytest.raises(WriteError, match="exists and is not a Zarr image"):
        write(volume(), tmp_path / "thesis.zarr")
    assert (tmp_path / "thesis.zarr" / "chapter.txt").exists()


@pytest.mark.parametrize("name", ["v.png", "v", "v.zarr.zip", ".zarr"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    with pytest.raises(WriteError, match=r"expected a name that ends with \.zarr, \.ome\.tif, \.mrc"):
        check_output(tmp_path / name)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(WriteError, match="there is no folder"):
        check_output(tmp_path / "no" / "v.zarr")


def test_what_is_no_volume_is_not_read(tmp_path):
    import zarr

    with pytest.raises(ReadError, match="no such file"):
        read_volume(tmp_path / "v.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(ReadError, match="expected an OME-Zarr image"):
        read_volume(tmp_path / "empty.zarr")
    zarr.open_group(tmp_path / "group.zarr", mode="w", zarr_format=2)
    with pytest.raises(ReadError, match="expected an OME-Zarr image"):
        read_volume(tmp_path / "group.zarr")
    write(volume(), tmp_path / "v.zarr")
    attributes = tmp_path / "v.zarr" / ".zattrs"
    attributes.write_text(attributes.read_text().replace('"name": "z"', '"name": "t"'))
    with pytest.raises(ReadError, match="found the axes c, t, y, x; expected c, z, y, x"):
        read_volume(tmp_path / "v.zarr")


@pytest.mark.parametrize("name", ["v.zarr", "v.mrc", "v.tif", "v.emd", "v.hspy", "v.npz"])
def test_writing_warns_of_nothing(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(volume(), tmp_path / name)
        read_volume(tmp_path / name)
