"""EMD of the NCEM and of tomviz."""

import h5py
import numpy as np
import pytest

from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io import read, read_spectra
from chemtomo.io.formats.registry import find

_DATA = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5) + 0.5


def _write(path, data, dims, *, group="data/series", first=1, version=(0, 2), scalars=None, name=None):
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = version
        made = file.create_group(group)
        made.attrs["emd_group_type"] = 1
        dataset = made.create_dataset("data", data=data)
        if name is not None:
            dataset.attrs["name"] = np.bytes_(name)
        for index, (label, units, values) in enumerate(dims, start=first):
            dim = made.create_dataset(f"dim{index}", data=np.asarray(values, np.float32))
            dim.attrs["name"], dim.attrs["units"] = np.bytes_(label), np.bytes_(units.encode())
        if scalars is not None:
            others = made.create_group("tomviz_scalars")
            others["first"] = h5py.SoftLink(f"/{group}/data")
            for label, values in scalars.items():
                others.create_dataset(label, data=values)
    return path


def _dims(sizes=(3, 4, 5)):
    tilts, y, x = sizes
    return [
        ("tilt", "[deg]", [-30.0, 0.5, 31.0][:tilts]),
        ("y", "[n_m]", np.arange(y) * 0.25),
        ("x", "[n_m]", np.arange(x) * 0.25),
    ]


def test_a_series_of_the_ncem_has_its_tilts_one_by_one(tmp_path):
    path = _write(tmp_path / "a.emd", _DATA, _dims())
    (series,) = read(path)
    assert series.name == "series"
    np.testing.assert_array_equal(series.values(), _DATA)
    np.testing.assert_array_equal(series.tilts_deg, [-30, 0.5, 31])
    assert series.pixel_size_nm == 0.25


def test_version_1_counts_from_0_and_may_give_two_values_for_an_axis(tmp_path):
    dims = [("tilt", "deg", [-10, -8]), ("y", "Å", [0, 2]), ("x", "Å", [0, 2])]
    path = _write(tmp_path / "a.emd", _DATA, dims, first=0, version=(1, 0))
    (series,) = read(path)
    np.testing.assert_array_equal(series.tilts_deg, [-10, -8, -6])
    assert series.pixel_size_nm == pytest.approx(0.2)


def test_axes_in_another_order_are_put_right(tmp_path):
    tilt, y, x = _dims()
    path = _write(tmp_path / "a.emd", _DATA.transpose(2, 1, 0), [x, y, tilt])
    (series,) = read(path)
    np.testing.assert_array_equal(series.values(), _DATA)


def test_tomviz_has_the_tilt_axis_along_x(tmp_path):
    """What tomviz writes: (angles, y, x), a name, and other channels beside a link to the first."""
    dims = [
        ("angles", "[deg]", [-30.0, 0.5, 31.0]),
        ("y", "[n_m]", np.arange(4) * 0.25),
        ("x", "[n_m]", np.arange(5) * 0.25),
    ]
    path = _write(
        tmp_path / "a.emd", _DATA, dims, group="data/tomography", scalars={"Fe Ka": np.ones((3, 4, 5))},
        name="HAADF",
    )  # fmt: skip
    first, second = read(path)
    assert (first.name, second.name) == ("HAADF", "Fe Ka")
    np.testing.assert_array_equal(first.values(), _DATA.transpose(0, 2, 1))
    np.testing.assert_array_equal(first.tilts_deg, [-30, 0.5, 31])
    assert second.kind == "counts"
    assert any("tomviz" in note for note in first.notes)


def test_a_volume_is_no_tilt_series(tmp_path):
    dims = [(name, "[n_m]", np.arange(size)) for name, size in zip("xyz", (3, 4, 5), strict=True)]
    path = _write(tmp_path / "a.emd", _DATA, dims, group="data/tomography")
    with pytest.raises(NoTiltSeriesError, match=r"a\.emd.*\(3, 4, 5\)"):
        find(path)


def test_spectra_are_told_by_their_energies(tmp_path):
    data = np.random.default_rng(0).poisson(1, (3, 4, 5, 8)).astype(np.uint16)
    dims = [*_dims(), ("energy", "[eV]", np.arange(8) * 20.0 - 40)]
    series = read_spectra(_write(tmp_path / "a.emd", data, dims))
    assert series.shape == (3, 4, 5, 8)
    assert series.energy_offset_keV == pytest.approx(-0.04)
    assert series.energy_step_keV == pytest.approx(0.02)
    assert any("taken for" in note for note in series.notes)
    np.testing.assert_array_equal(np.asarray(series.data), data)


def test_another_hdf5_file_says_what_is_in_it(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["measurement"] = np.zeros(3)
    with pytest.raises(ReadError, match=r"other\.h5.*measurement.*Velox"):
        read(tmp_path / "other.h5")


def test_text_is_not_hdf5(tmp_path):
    (tmp_path / "a.emd").write_text("no image")
    with pytest.raises(ReadError, match=r"a\.emd.*no image"):
        read(tmp_path / "a.emd")
