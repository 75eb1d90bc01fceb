"""OME-Zarr images of other programs, written with zarr itself."""

import json

import numpy as np
import pytest
import zarr

from chemtomo.data import Volume
from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io import may_hold_tilt_series, read, write
from chemtomo.io.formats.ome_zarr import read as ome_zarr_series

TILTS = "-10:5:5"


def stack():
    return np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)


def write_zarr(path, data, axes, *, version="0.4", labels=(), unit="nanometer", scale=2.0, change=None):
    """Write an image with a second, smaller level, as the specification asks for."""
    new = version == "0.5"
    group = zarr.open_group(str(path), mode="w", zarr_format=3 if new else 2)
    for level, step in enumerate((1, 2)):
        values = data[..., ::step, ::step]
        array = group.create_array(str(level), shape=values.shape, dtype=values.dtype, chunks=values.shape)
        array[...] = values
    kinds = {"c": {"type": "channel"}, "t": {"type": "time"}}
    space = {"type": "space"} | ({"unit": unit} if unit else {})
    described = {
        "multiscales": [
            {
                "version": version,
                "axes": [{"name": axis, **kinds.get(axis, space)} for axis in axes],
                "datasets": [
                    {
                        "path": str(level),
                        "coordinateTransformations": [
                            {
                                "type": "scale",
                                "scale": [scale * step if axis in "yx" else 1.0 for axis in axes],
                            }
                        ],
                    }
                    for level, step in enumerate((1, 2))
                ],
            }
        ]
    }
    if labels:
        described["omero"] = {"channels": [{"label": label} for label in labels]}
    if change is not None:
        change(described)
    group.attrs.update({"ome": described} if new else described)
    return path


def message(path):
    with pytest.raises(ReadError) as caught:
        read(path, tilts=TILTS)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["ctyx", "tcyx", "czyx", "tczyx"])
def test_channels_become_series_with_their_names_at_full_resolution(tmp_path, version, axes):
    data = np.stack([stack(), stack() + 1000], axis=[axis for axis in axes if axis != "z"].index("c"))
    if axes == "czyx":
        data = np.stack([stack(), stack() + 1000])
    if axes == "tczyx":
        data = data[:, :, np.newaxis]
    path = write_zarr(tmp_path / "a.ome.zarr", data, axes, version=version, labels=("Fe", "HAADF"))
    dataset = read(path, tilts=TILTS)
    assert dataset.names == ("Fe", "HAADF")
    assert np.array_equal(dataset["Fe"].data, stack())
    assert np.array_equal(dataset["HAADF"].data, stack() + 1000)
    for one in dataset:
        assert one.pixel_size_nm == 2
        assert one.tilts_deg.tolist() == [-10, -5, 0, 5, 10]


def test_tilts_are_in_a_file_beside_the_folder(tmp_path):
    path = write_zarr(tmp_path / "a.zarr", stack(), "zyx")
    assert "found no tilts for 5 projections" in message_without_tilts(path)
    (tmp_path / "a.rawtlt").write_text("1\n2\n3\n4\n5\n")
    (series,) = read(path)
    assert series.name == "a"
    assert series.tilts_deg.tolist() == [1, 2, 3, 4, 5]


def message_without_tilts(path):
    with pytest.raises(ReadError) as caught:
        read(path)
    return str(caught.value)


@pytest.mark.parametrize(("unit", "scale", "size"), [("micrometer", 0.5, 500), ("angstrom", 5, 0.5)])
def test_units_become_nanometres(tmp_path, unit, scale, size):
    path = write_zarr(tmp_path / "a.zarr", stack(), "zyx", unit=unit, scale=scale)
    assert read(path, tilts=TILTS)["a"].pixel_size_nm == size


def test_a_pixel_size_without_a_unit_is_not_used_and_that_is_said(tmp_path):
    series = read(write_zarr(tmp_path / "a.zarr", stack(), "zyx", unit=None), tilts=TILTS)["a"]
    assert series.pixel_size_nm == 1
    assert "the pixel size 2 has no unit and is not used" in series.notes
    series = read(write_zarr(tmp_path / "b.zarr", stack(), "zyx", unit="second"), tilts=TILTS)["b"]
    assert "the unit of the pixels is 'second', which is no length; the size is not used" in series.notes


def test_pixels_that_are_not_square_are_noted(tmp_path):
    def change(described):
        (transform,) = described["multiscales"][0]["datasets"][0]["coordinateTransformations"]
        transform["scale"][-2] = 3.0

    series = read(write_zarr(tmp_path / "a.zarr", stack(), "zyx", change=change), tilts=TILTS)["a"]
    assert series.pixel_size_nm == 2
    assert any("2 x 3 nm (x, y)" in note for note in series.notes)


def test_large_images_are_read_when_they_are_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(ome_zarr_series, "_LAZY_FROM_BYTES", 10)
    data = np.stack([stack(), stack() + 1])
    dataset = read(write_zarr(tmp_path / "a.zarr", data, "ctyx"), tilts=TILTS)
    assert all(one.is_lazy for one in dataset)
    assert np.array_equal(dataset["a 2"].values(), data[1])


def test_a_volume_is_no_tilt_series(tmp_path):
    path = tmp_path / "v.zarr"
    write(Volume(np.ones((1, 5, 6, 7), np.float32), ("Al",), 1.0), path)
    with pytest.raises(NoTiltSeriesError, match="found a volume"):
        read(path, tilts=TILTS)
    assert not may_hold_tilt_series(path)


def drop(key):
    return lambda described: described["multiscales"][0].pop(key)


@pytest.mark.parametrize(
    ("axes", "change", "said"),
    [
        ("zyx", drop("axes"), "found no image description"),
        ("zyx", drop("datasets"), "found no image description"),
        ("zyx", lambda described: described.update(multiscales=[]), "found no image description"),
        ("zyx", lambda described: described.update(multiscales=7), "found no image description"),
        ("yxz", None, "found the axes y, x, z"),
        ("zyx", lambda described: described["multiscales"][0].update(axes=["y", "x"]), "a.zarr"),
        ("zyx", lambda described: described["multiscales"][0]["datasets"][0].update(path="../.."), "a.zarr"),
    ],
)
def test_what_is_wrong_with_an_image_is_said(tmp_path, axes, change, said):
    assert said in message(write_zarr(tmp_path / "a.zarr", stack(), axes, change=change))


def test_what_is_no_image(tmp_path):
    empty = tmp_path / "empty.zarr"
    empty.mkdir()
    assert "found no Zarr group" in message(empty)
    zarr.save_array(str(tmp_path / "array.zarr"), stack())
    assert "found a Zarr array by itself" in message(tmp_path / "array.zarr")
    (empty / ".zgroup").write_text("{")
    message(empty)


def test_a_size_that_cannot_be_is_refused_before_any_memory_is_taken(tmp_path):
    path = write_zarr(tmp_path / "a.zarr", stack(), "zyx")
    described = json.loads((path / "0" / ".zarray").read_text())
    for shape in ([5, 1 << 30, 1 << 30], [1 << 40, 6, 7]):
        (path / "0" / ".zarray").write_text(json.dumps(described | {"shape": shape, "chunks": [1, 1, 1]}))
        assert "expected" in message(path)
