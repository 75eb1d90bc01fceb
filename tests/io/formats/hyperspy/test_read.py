"""HSPY and ZSPY: tilts, axes and names of HyperSpy's signals."""

import json
import shutil

import numpy as np
import pytest
from tests.io.formats.hyperspy.hyperspy_writing import axis, spectral, write_hspy, write_zspy

from chemtomo.errors import ReadError
from chemtomo.io import may_hold_tilt_series, read, read_spectra
from chemtomo.io.formats.registry import find

_DATA = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)


def _lengths(scale=0.5, units="nm"):
    return [axis("y", 4, scale, 0, units), axis("x", 5, scale, 0, units)]


@pytest.mark.parametrize("write", [write_hspy, write_zspy])
def test_a_stack_has_the_tilts_of_its_axis(tmp_path, write):
    path = tmp_path / f"series.{write.__name__[-4:]}"
    metadata = {"General": {"title": "HAADF"}, "Signal": {"signal_type": ""}}
    write(path, _DATA, [axis("tilt", 3, 10, -10, "deg"), *_lengths()], metadata)
    (series,) = read(path)
    assert series.name == "HAADF"
    np.testing.assert_array_equal(series.values(), _DATA)
    np.testing.assert_array_equal(series.tilts_deg, [-10, 0, 10])
    assert series.pixel_size_nm == 0.5
    assert series.kind == "intensity"


def test_a_zipped_zspy_is_read_as_well(tmp_path):
    write_zspy(tmp_path / "folder", _DATA, [axis("tilt", 3, 10, -10, "deg"), *_lengths()])
    shutil.make_archive(str(tmp_path / "series"), "zip", tmp_path / "folder")
    path = (tmp_path / "series.zip").rename(tmp_path / "series.zspy")
    (series,) = read(path)
    assert series.name == "series"
    np.testing.assert_array_equal(series.values(), _DATA)


def test_recorded_tilts_in_the_metadata_come_before_a_numbered_axis(tmp_path):
    tilts = np.array([-60.2, 1.0, 59.7])
    metadata = {
        "General": {"title": "Fe Ka"},
        "Acquisition_instrument": {"TEM": {"Stage": {"tilt_series_alpha": tilts}}},
    }
    write_hspy(tmp_path / "a.hspy", _DATA, [axis("projection", 3), *_lengths()], metadata)
    (series,) = read(tmp_path / "a.hspy")
    np.testing.assert_array_equal(series.tilts_deg, tilts)
    assert series.kind == "counts"  # whole numbers, and named by an element


def test_uneven_tilts_are_taken_one_by_one(tmp_path):
    uneven = {"_type": "DataAxis", "name": "tilt", "units": "deg", "axis": np.array([-50.0, -10.5, 60.0])}
    uneven |= {"navigate": True, "is_binned": False}
    write_hspy(tmp_path / "a.hspy", _DATA, [uneven, *_lengths()])
    np.testing.assert_array_equal(read(tmp_path / "a.hspy").series[0].tilts_deg, [-50, -10.5, 60])


@pytest.mark.parametrize(("units", "size_nm"), [("A", 0.05), ("µm", 500.0), ("pm", 0.0005), ("1/nm", None)])
def test_lengths_become_nanometres(tmp_path, units, size_nm):
    write_hspy(tmp_path / "a.hspy", _DATA, [axis("tilt", 3, 1, 0, "deg"), *_lengths(units=units)])
    (found,) = find(tmp_path / "a.hspy")
    assert found.pixel_size_nm == (None if size_nm is None else pytest.approx(size_nm))
    if size_nm is None:
        assert any("1/nm" in note for note in found.notes)


def test_radians_become_degrees(tmp_path):
    write_hspy(tmp_path / "a.hspy", _DATA, [axis("tilt", 3, np.pi / 6, -np.pi / 6, "rad"), *_lengths()])
    np.testing.assert_allclose(read(tmp_path / "a.hspy").series[0].tilts_deg, [-30, 0, 30])


def test_a_stack_that_says_no_tilts_asks_for_them(tmp_path):
    path = tmp_path / "a.hspy"
    write_hspy(path, _DATA, [axis("", 3), *_lengths()])
    with pytest.raises(ReadError, match=r"a\.hspy.*tilts"):
        read(path)
    np.testing.assert_array_equal(read(path, tilts="-5:5:3").series[0].tilts_deg, [-5, 0, 5])


@pytest.mark.parametrize("write", [write_hspy, write_zspy])
def test_a_spectral_tilt_series_stays_in_the_file(tmp_path, write):
    data = np.random.default_rng(0).poisson(1, (3, 4, 5, 16)).astype(np.uint8)
    axes = [axis("tilt", 3, 10, -10, "deg"), *_lengths(), axis("Energy", 16, 10, -100, "eV")]
    path = tmp_path / f"s.{write.__name__[-4:]}"
    metadata = spectral("EDX", "EDS_TEM")
    if write is write_zspy:
        metadata["Sample"] = {"_list_elements": np.array(["Cu", "O"], dtype="S2")}
    write(path, data, axes, metadata)
    series = read_spectra(path)
    assert series.is_lazy
    assert series.shape == (3, 4, 5, 16)
    np.testing.assert_array_equal(series.tilts_deg, [-10, 0, 10])
    assert series.energy_offset_keV == pytest.approx(-0.1)
    assert series.energy_step_keV == pytest.approx(0.01)
    assert series.signal == "EDX"
    assert series.elements == ("Cu", "O")
    assert series.beam_energy_keV == 200
    np.testing.assert_array_equal(np.asarray(series.data), data)
    eager = read_spectra(path, lazy=False)
    assert not eager.is_lazy


def test_another_order_of_axes_is_put_right(tmp_path):
    data = np.random.default_rng(0).poisson(1, (16, 5, 4, 3)).astype(np.uint8)
    axes = [axis("Energy loss", 16, 0.5, 400, "eV"), *reversed(_lengths()), axis("tilt", 3, 1, 0, "deg")]
    write_hspy(tmp_path / "s.hspy", data, axes, spectral("EELS", "EELS"))
    series = read_spectra(tmp_path / "s.hspy")
    assert series.signal == "EELS"
    np.testing.assert_array_equal(np.asarray(series.data), data.transpose(3, 2, 1, 0))


def test_an_axis_of_detectors_is_summed(tmp_path):
    data = np.random.default_rng(0).poisson(1, (3, 2, 4, 5, 16)).astype(np.uint8)
    axes = [
        axis("tilt", 3, 1, 0, "deg"),
        axis("detector", 2),
        *_lengths(),
        axis("Energy", 16, 0.01, 0, "keV"),
    ]
    write_hspy(tmp_path / "s.hspy", data, axes, spectral())
    series = read_spectra(tmp_path / "s.hspy")
    np.testing.assert_array_equal(np.asarray(series.data), data.sum(axis=1))
    assert any("summed over the 2 values" in note for note in series.notes)


def test_a_volume_is_no_tilt_series(tmp_path):
    from chemtomo.data import Volume
    from chemtomo.io import write

    volume = Volume(np.ones((1, 3, 4, 5), np.float32), ("Fe",), voxel_size_nm=1.0)
    write(volume, tmp_path / "v.hspy")
    with pytest.raises(ReadError, match=r"v\.hspy.*volume"):
        read(tmp_path / "v.hspy")


def test_what_is_no_zspy_is_refused_by_name(tmp_path):
    (tmp_path / "text.zspy").write_text("nothing")
    (tmp_path / "folder.zspy").mkdir()
    (tmp_path / "folder.zspy" / ".zgroup").write_text("{")
    for name, expected in (("text", "neither a folder nor a Zip"), ("folder", "ZSPY")):
        with pytest.raises(ReadError, match=rf"{name}\.zspy.*{expected}"):
            find(tmp_path / f"{name}.zspy")


@pytest.mark.parametrize("fault", ["an unknown codec", "no JSON"])
def test_metadata_that_cannot_be_read_leave_the_values_of_a_zspy(tmp_path, fault, capfd):
    """Ragged markers are arrays of objects, which a present-day Zarr does not know."""
    path = tmp_path / "a.zspy"
    metadata = {"General": {"title": "HAADF"}, "Markers": {"offsets": np.zeros(3)}}
    write_zspy(path, _DATA, [axis("tilt", 3, 10, -10, "deg"), *_lengths()], metadata)
    entry = path / "Experiments" / "signal" / "metadata" / "Markers" / "offsets" / ".zarray"
    described = json.loads(entry.read_text())
    described |= {"dtype": "|O", "filters": [{"id": "vlen-array", "dtype": "<f8"}]}
    entry.write_text(json.dumps(described) if fault == "an unknown codec" else "{")
    (series,) = read(path)
    assert series.name == "HAADF"
    np.testing.assert_array_equal(series.values(), _DATA)
    np.testing.assert_array_equal(series.tilts_deg, [-10, 0, 10])
    assert capfd.readouterr() == ("", "")


def test_napari_is_told_that_a_zspy_folder_may_hold_tilt_series(tmp_path):
    write_zspy(tmp_path / "a.zspy", _DATA, [axis("tilt", 3, 10, -10, "deg"), *_lengths()])
    assert (tmp_path / "a.zspy").is_dir()
    assert may_hold_tilt_series(tmp_path / "a.zspy")
