"""What is written in any format is read back: values, tilts, sizes, names, kinds, and all the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.errors import WriteError
from chemtomo.io import read, write_dataset

FORMATS = ["s.zarr", "s.ome.tif", "s.tif", "s.emd", "s.hspy", "s.npz", "s.mrc", "folder"]
KEEP_BACKGROUNDS = ["s.zarr", "s.ome.tif", "s.emd", "s.hspy", "s.npz"]
DTYPES = [
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "float32",
    "float64",
    "int64",
    "float16",
    ">i2",
]


@st.composite
def series(draw, name):
    shape = draw(st.tuples(*[st.integers(1, 4)] * 3))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    counts = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    if dtype.kind == "f":
        data = np.abs(rng.normal(0, 100, shape)) if counts else rng.normal(0, 100, shape)
    else:
        bounds = np.iinfo(dtype)
        lowest = 0 if counts else max(bounds.min, -(1 << 23))
        data = rng.integers(lowest, min(bounds.max, 1 << 23), shape, endpoint=True)
    tilts = draw(st.lists(st.floats(-180, 180), min_size=shape[0], max_size=shape[0]))
    numbers = st.lists(st.floats(0.1, 10), min_size=shape[0], max_size=shape[0])
    return TiltSeries(
        name=name,
        data=data.astype(dtype),
        tilts_deg=np.array(tilts),
        pixel_size_nm=draw(st.floats(1e-3, 1e3)),
        kind="counts" if counts else "intensity",
        axis_position_px=draw(st.none() | st.floats(-5, 5)),
        detector_shifts_px=draw(st.none() | numbers),
        gains=draw(st.none() | numbers),
        valid=draw(st.none() | st.just(rng.random(shape) > 0.3)),
        provenance=draw(st.sampled_from([(), ({"step": "crop", "range": [0, 3]},)])),
    )


@st.composite
def datasets(draw):
    names = draw(
        st.lists(st.text(min_size=1, max_size=20).filter(str.strip), min_size=1, max_size=3, unique=True)
    )
    return Dataset(tuple(draw(series(name)) for name in names))


def assert_same(found: Dataset, expected: Dataset, *, rounded: bool) -> None:
    assert sorted(found.names) == sorted(expected.names)
    for one in expected:
        back = found.series[found.names.index(one.name)]
        values = one.values().astype(np.float32) if rounded and one.data.dtype.kind == "f" else one.values()
        assert np.array_equal(back.values(), values)
        assert np.array_equal(back.tilts_deg, one.tilts_deg)
        assert back.kind == one.kind
        assert back.pixel_size_nm == one.pixel_size_nm
        assert back.axis_position_px == one.axis_position_px
        for name in ("detector_shifts_px", "gains"):
            given_numbers, numbers = getattr(one, name), getattr(back, name)
            assert (given_numbers is None) == (numbers is None)
            assert given_numbers is None or np.array_equal(numbers, given_numbers)
        assert (one.valid is None) == (back.valid is None)
        assert one.valid is None or np.array_equal(back.valid, one.valid)
        assert back.provenance == one.provenance


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25)
@given(dataset=datasets())
def test_a_dataset_is_read_back(tmp_path_factory, name, dataset):
    folder = tmp_path_factory.mktemp("round")
    written = write_dataset(dataset, folder / name)
    assert all(one.exists() for one in written)
    found = read(written)
    mrc = name in ("s.mrc", "folder")
    assert_same(found, dataset, rounded=mrc)
    rounded = [one for one in dataset if one.data.dtype.name == "float64"]
    assert len(written.notes) == (len(rounded) if mrc else len(written.notes))
    if not mrc:
        assert not [note for note in written.notes if "rounded" in note]


def full_dataset():
    rng = np.random.default_rng(0)
    tilts = np.array([-60.0, -20.5, 0.25, 33.0])
    matrices = np.tile(np.array([[1.0, 0.01, 2.0], [-0.01, 1.0, -3.5]]), (4, 1, 1))
    alignment = Alignment(
        "HAADF", tilts + 0.1, matrices, 1.5, -0.25, np.array([0.1, np.nan, 0.3, 0.4]), 0.7, (5, 6), "test"
    )
    haadf = TiltSeries("HAADF", rng.random((4, 5, 6)).astype(np.float32), tilts, 0.7, alignment=alignment)
    counts = rng.poisson(3.0, (4, 5, 6)).astype(np.uint16)
    background = rng.random((4, 5, 6)).astype(np.float32)
    iron = TiltSeries("Fe/Kα", counts, tilts, 0.7, "counts", background=background)
    cobalt = TiltSeries("Co", counts[:2, :3], [30.0, -30.0], 1.4, "counts", background=background[:2, :3] * 2)
    return Dataset((haadf, iron, cobalt))


@pytest.mark.parametrize("name", FORMATS)
def test_alignments_come_back_and_so_do_backgrounds_or_a_note(tmp_path, name):
    dataset = full_dataset()
    written = write_dataset(dataset, tmp_path / name)
    found = read(written)
    assert_same(found, dataset, rounded=False)
    back = found["HAADF"].alignment
    assert back is not None
    assert back.to_json() == dataset["HAADF"].alignment.to_json()
    for channel in ("Fe/Kα", "Co"):
        background = found.series[found.names.index(channel)].background
        if name in KEEP_BACKGROUNDS or name == "s.tif":
            assert np.array_equal(np.asarray(background), dataset[channel].background)
        else:
            assert background is None
            assert any(channel in note and "background" in note for note in written.notes)


@pytest.mark.parametrize("name", [one for one in FORMATS if one != "folder"])
def test_the_order_of_the_channels_stays(tmp_path, name):
    channel = np.ones((2, 3, 4), np.float32)
    names = ("Zn", "Al", "HAADF", "Co", "Yb", "Ag", "O", "C", "Si", "N", "Fe", "Ti")
    dataset = Dataset(tuple(TiltSeries(one, channel, [0, 1]) for one in names))
    assert read(write_dataset(dataset, tmp_path / name)).names == names


@pytest.mark.parametrize("name", FORMATS)
def test_lazy_series_are_never_taken_as_a_whole(tmp_path, name):
    import dask.array

    at_once = []

    def make(block_info=None):
        (place,) = block_info[None]["array-location"][:1]
        at_once.append(place[1] - place[0])
        return np.full((place[1] - place[0], 3, 4), place[0], np.uint16)

    data = dask.array.map_blocks(make, chunks=((1,) * 5, (3,), (4,)), dtype=np.uint16)
    lazy = Dataset((TiltSeries("Al", data, np.arange(5.0), 1.0, "counts"),))
    found = read(write_dataset(lazy, tmp_path / name))["Al"]
    assert found.shape == (5, 3, 4)
    assert [int(one.max()) for one in found.projections()] == [0, 1, 2, 3, 4]
    assert set(at_once) == {1}


@pytest.mark.parametrize("name", FORMATS)
def test_a_failed_write_leaves_the_old_files_and_no_debris(tmp_path, name):
    import dask.array

    write_dataset(full_dataset(), tmp_path / name)
    before = {one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()}

    def fail(block_info=None):
        raise OSError(28, "No space left on device")

    data = dask.array.map_blocks(
        fail, chunks=((1, 1), (3,), (4,)), dtype=np.float32, meta=np.empty((0, 0, 0))
    )
    broken = (*full_dataset().series[:2], TiltSeries("Co", data, [0, 1]))
    with pytest.raises(WriteError, match="no space left"):
        write_dataset(Dataset(broken), tmp_path / name, overwrite=True)
    assert {one: one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()} == before


def test_a_changed_tilt_file_counts_and_a_replaced_stack_is_not_described_by_the_old_file(tmp_path):
    (path,) = write_dataset(Dataset((TiltSeries("a", np.ones((2, 3, 4)), [1, 2], gains=[1, 2]),)), tmp_path)
    path.with_suffix(".rawtlt").write_text("5\n6\n")
    found = read(path)["a"]
    assert found.tilts_deg.tolist() == [5, 6]
    assert not [note for note in found.notes if "tilt" in note]
    other = tmp_path / "other"
    (new,) = write_dataset(Dataset((TiltSeries("a", np.ones((3, 3, 4)), [1, 2, 3]),)), other)
    path.write_bytes(new.read_bytes())
    path.with_suffix(".rawtlt").write_text("5\n6\n7\n")
    found = read(path)["a"]
    assert found.gains is None
    assert any("a.chemtomo.json is not used" in note for note in found.notes)
