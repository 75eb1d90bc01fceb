"""Real files of microscopes open with the shape, tilts, units and names that they have."""

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from chemtomo.cli import main
from chemtomo.errors import ReadError
from chemtomo.io import contents, describe_spectra, read, read_spectra
from chemtomo.io.formats.registry import find


@pytest.fixture(scope="module")
def vendor(data_folder) -> Path:
    folder = data_folder / "vendor"
    if not folder.is_dir():
        pytest.skip(f"no files of microscopes: found no folder {folder}")
    return folder


@pytest.fixture(scope="module")
def velox_file(vendor, tmp_path_factory) -> Path:
    """The Velox file with EDX, EELS and maps, out of its archive."""
    folder = tmp_path_factory.mktemp("velox")
    with zipfile.ZipFile(vendor / "velox_EELS_EDS.zip") as archive:
        archive.extractall(folder)
    return next(folder.rglob("*.emd"))


def test_a_digital_micrograph_stack_has_the_recorded_tilts(vendor):
    (series,) = read(vendor / "HAADF.dm3")
    assert series.name == "HAADF"
    assert series.shape == (91, 64, 64)
    assert series.data.dtype == np.uint16
    np.testing.assert_allclose(series.tilts_deg, np.arange(-90, 91, 2))
    assert series.pixel_size_nm == pytest.approx(17.994916, rel=1e-6)
    assert series.kind == "intensity"
    # The peer reads the same values.
    from rsciio.digitalmicrograph import file_reader

    np.testing.assert_array_equal(series.values(), file_reader(str(vendor / "HAADF.dm3"))[0]["data"])


def test_a_bruker_file_has_an_image_and_spectra_with_elements(vendor):
    found = {one.name: one for one in find(vendor / "test_TEM.bcf")}
    assert set(found) == {"HAADF", "EDX"}
    assert found["HAADF"].data.shape == (64, 64)
    assert found["HAADF"].signal == "intensity"
    edx = found["EDX"]
    assert edx.data.shape == (64, 64, 2048)
    assert edx.elements == ("Cu", "O", "Pd", "Ti")
    assert edx.signal == "counts"
    assert edx.pixel_size_nm == pytest.approx(0.771005, rel=1e-6)
    assert edx.beam_energy_keV == 200
    assert edx.energy.step_keV == pytest.approx(0.010001)
    assert edx.energy.offset_keV == pytest.approx(-0.47544754)
    from rsciio.bruker import file_reader

    peer = next(one["data"] for one in file_reader(str(vendor / "test_TEM.bcf")) if one["data"].ndim == 3)
    np.testing.assert_array_equal(np.asarray(edx.data), peer)


@pytest.mark.parametrize(("line", "energy_keV"), [("O Ka", 0.525), ("Si Ka", 1.740)])
def test_lines_are_where_the_elements_have_them(vendor, line, energy_keV):
    series = read_spectra(vendor / "test_TEM.bcf")
    spectrum = np.asarray(series.data.sum(axis=(0, 1, 2)))
    window = np.abs(series.energies_keV - energy_keV) < 0.1
    peak = series.energies_keV[window][spectrum[window].argmax()]
    assert peak == pytest.approx(energy_keV, abs=0.01), line
    assert series.tilts_deg.tolist() == [0.0]
    assert any("0 degrees are assumed" in note for note in series.notes)


def test_a_velox_stack_keeps_its_frames_and_says_their_tilt(vendor):
    (series,) = read(vendor / "fei_example_tem_stack.emd")
    assert series.name == "Ceta"
    assert series.shape == (2, 3, 3)
    np.testing.assert_allclose(series.tilts_deg, np.rad2deg(-0.2196736), atol=1e-4)
    assert series.pixel_size_nm == pytest.approx(8.172883e-3, rel=1e-6)
    assert any("2 images were recorded at" in note for note in series.notes)
    with h5py.File(vendor / "fei_example_tem_stack.emd") as file:
        (group,) = file["Data/Image"].values()
        np.testing.assert_array_equal(series.values(), group["Data"][...].transpose(2, 0, 1))


def test_velox_images_are_named_as_velox_shows_them(velox_file):
    dataset = read(velox_file)
    assert set(dataset.names) == {
        *("Fe-EELS", "Co-EELS", "O-EELS", "Fe", "Co", "O"),
        *("DF-S", "Ref DF-S"),
    }
    assert dataset["Ref DF-S"].shape == (1, 128, 128)
    for series in dataset:
        assert series.pixel_size_nm == pytest.approx(158.658, rel=1e-5), series.name
        np.testing.assert_allclose(series.tilts_deg, 0, atol=1e-3)
        if series.name != "Ref DF-S":
            assert series.shape == (1, 16, 20)
    assert dataset["Fe"].kind == "counts"
    assert dataset["DF-S"].kind == "intensity"
    # The kind follows from the values, not from the name alone.
    assert dataset["Fe-EELS"].kind == "intensity"


def test_velox_spectra_have_the_scan_of_their_own_maps(velox_file):
    """The overview beside them is 128 x 128, and so is what the library takes for the scan."""
    edx = read_spectra(velox_file)
    assert edx.shape == (1, 16, 20, 4096)
    assert edx.signal == "EDX"
    assert sorted(edx.detectors) == [f"UltraX{segment}" for segment in range(1, 7)]
    assert edx.elements == ("O", "Fe", "Co")
    assert (edx.energy_offset_keV, edx.energy_step_keV) == (-0.2, 0.01)
    assert edx.beam_energy_keV == 300
    with h5py.File(velox_file) as file:
        for stream in file["Data/SpectrumStream"].values():
            # One gate between neighbouring pixels.
            assert (stream["Data"][...] == 65535).sum() == 16 * 20 - 1


def test_the_detectors_of_velox_are_summed(velox_file):
    """Three ways to the same counts: ours, the library's detectors one by one, and what Velox saved."""
    pytest.importorskip("sparse", reason="the library needs it for Velox spectra")
    from rsciio.emd import file_reader

    edx = read_spectra(velox_file, lazy=False)
    assert not edx.is_lazy
    single = file_reader(str(velox_file), select_type="spectrum_image", sum_EDS_detectors=False)
    single = [one["data"] for one in single if one["data"].shape[-1] == 4096]
    assert len(single) == 6
    summed = sum(one.astype(np.int64) for one in single)
    # The library puts the scan of 16 x 20 into the first pixels of one of 128 x 128.
    flat = summed.reshape(-1, 4096)
    np.testing.assert_array_equal(flat[: 16 * 20], edx.data.reshape(-1, 4096))
    assert not flat[16 * 20 :].any()
    together = file_reader(str(velox_file), select_type="spectrum_image", sum_EDS_detectors=True)
    together = next(one["data"] for one in together if one["data"].shape[-1] == 4096)
    np.testing.assert_array_equal(together, summed)
    with h5py.File(velox_file) as file:
        saved = sum(one["Data"][:, 0].astype(np.int64) for one in file["Data/Spectrum"].values())
    np.testing.assert_array_equal(edx.data.sum(axis=(0, 1, 2), dtype=np.int64), saved)


def test_velox_energy_loss_has_its_ranges_and_no_pedestal(velox_file):
    described = {one["name"]: one for one in describe_spectra(velox_file)}
    assert list(described) == ["EELS -22 to 325 eV", "EELS 480 to 826 eV", "EELS 800 to 1146 eV", "EDX"]
    assert described["EELS 480 to 826 eV"]["shape"] == [1, 16, 20, 2048]
    assert described["EELS 480 to 826 eV"]["energy_offset_keV"] == pytest.approx(0.48)
    series = read_spectra(velox_file, signal="EELS 480")
    assert series.signal == "EELS"
    assert series.detectors == ("Zebra",)
    with h5py.File(velox_file) as file:
        for group in file["Data/EelsSpectrumImage"].values():
            text = group["AcquisitionMetadata"][:, 0].tobytes().rstrip(b"\0")
            if abs(json.loads(text)["Data"]["offset"] - 480) < 1:
                raw = group["Data"][...]
    # Stored as (x, energy, y), with 100 units of the camera below every value.
    expected = (raw.transpose(2, 0, 1).astype(float) - 100) * 0.082287381
    np.testing.assert_allclose(np.asarray(series.data[0]), expected, atol=1e-4)


def _at_tilt(source: Path, target: Path, tilt_deg: float) -> Path:
    """Copy a Velox file as if it had been recorded at another tilt."""
    target.write_bytes(source.read_bytes())
    with h5py.File(target, "r+") as file:
        for group in (one for kind in file["Data"].values() for one in kind.values()):
            if not isinstance(group, h5py.Group) or "Metadata" not in group:
                continue
            frames = group["Metadata"][...]
            said = json.loads(frames[:, 0].tobytes().rstrip(b"\0"))
            said["Stage"]["AlphaTilt"] = str(np.deg2rad(tilt_deg))
            text = np.frombuffer(json.dumps(said).encode(), np.uint8)
            frames[:] = 0
            frames[: text.size, 0] = text
            group["Metadata"][...] = frames
    return target


def test_a_set_of_velox_files_is_sorted_by_the_stage(velox_file, tmp_path):
    tilts = {"b": -31.5, "a": 2.0, "c": 40.25}
    paths = [_at_tilt(velox_file, tmp_path / f"{name}.emd", tilt) for name, tilt in tilts.items()]
    dataset = read(paths)
    assert "DF-S" in dataset.names
    for series in dataset:
        np.testing.assert_allclose(series.tilts_deg, sorted(tilts.values()), atol=1e-9)
        assert series.shape[0] == 3
    for signal in ("EDX", "EELS 480"):
        spectra = read_spectra(tmp_path, signal=signal)
        np.testing.assert_allclose(spectra.tilts_deg, sorted(tilts.values()), atol=1e-9)
        single = read_spectra(velox_file, signal=signal)
        for image in spectra.spectrum_images():
            np.testing.assert_array_equal(image, np.asarray(single.data[0]))


def test_reading_leaves_no_file_open(velox_file, tmp_path):
    """A file can be removed while it is shown; reading its values afterwards says what is missing."""
    copied = tmp_path / "copy.emd"
    copied.write_bytes(velox_file.read_bytes())
    series = read_spectra(copied)
    image = read(copied)["DF-S"]
    values = image.values()
    with h5py.File(copied, "r+"):
        pass  # refused by HDF5 while someone reads
    copied.unlink()
    with pytest.raises(ReadError, match=r"copy\.emd.*as it was"):
        np.asarray(series.data)
    assert values.shape == (1, 16, 20)


@pytest.mark.parametrize("name", ["HAADF.dm3", "test_TEM.bcf", "fei_example_tem_stack.emd", "velox"])
def test_info_lists_every_file(vendor, velox_file, name, capsys):
    path = velox_file if name == "velox" else vendor / name
    assert main(["info", "--json", str(path)]) == 0
    said = json.loads(capsys.readouterr().out)
    found = contents(path)
    assert [one["name"] for one in said["series"]] == [one.name for one in found.series]
    assert [one["shape"] for one in said["series"]] == [list(one.shape) for one in found.series]
    names = [one["name"] for one in said.get("spectra", [])]
    assert names == [one.name for _, one in found.spectra]
    assert main(["info", str(path)]) == 0
    shown = capsys.readouterr().out
    assert all(one.name in shown for _, one in found.spectra)


def test_pruned_spectra_are_mentioned(velox_file, tmp_path):
    pruned = tmp_path / "pruned.emd"
    pruned.write_bytes(velox_file.read_bytes())
    with h5py.File(pruned, "r+") as file:
        del file["Data/SpectrumStream"]
    assert any("pruned" in note for note in read(pruned)["DF-S"].notes)
    assert not any("pruned" in note for note in read(velox_file)["DF-S"].notes)
