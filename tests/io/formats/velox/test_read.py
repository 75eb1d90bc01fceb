"""Velox files of every version: detectors by number or by name, and odd streams beside good images."""

import json

import h5py
import numpy as np
import pytest

from chemtomo.io import contents, read_spectra

SIZE = 3, 4
GATE = 65535
UNITS = {"PixelUnitX": "m", "PixelUnitY": "m", "PixelSize": {"width": "2e-9", "height": "2e-9"}}


def metadata(**binary):
    detector = {"Dispersion": "5", "OffsetEnergy": "-100"}
    return {
        "BinaryResult": UNITS | binary,
        "Stage": {"AlphaTilt": "0.1"},
        "Scan": {"ScanSize": {"width": SIZE[1], "height": SIZE[0]}},
        "Detectors": {
            "Detector-0": {"DetectorName": "HAADF"},
            "Detector-1": {"DetectorName": "SuperXG21"} | detector,
            "Detector-2": {"DetectorName": "SuperXG22"} | detector,
        },
    }


def put_metadata(group, said, name="Metadata"):
    text = np.frombuffer(json.dumps(said).encode(), np.uint8)
    values = np.zeros((text.size + 10, 1), np.uint8)
    values[: text.size, 0] = text
    group.create_dataset(name, data=values)


def text(value):
    return np.array([json.dumps(value).encode()], dtype=object)


def write(path, streams, *, settings=None, losses=()):
    with h5py.File(path, "w") as file:
        kind = h5py.string_dtype()
        file.create_dataset("Version", data=text({"format": "Velox", "version": 4}), dtype=kind)
        image = file.create_group("Data/Image/a")
        image.create_dataset("Data", data=np.ones((*SIZE, 1), np.uint16))
        put_metadata(image, metadata(Detector="HAADF"))
        for index, said in enumerate(streams):
            group = file.create_group(f"Data/SpectrumStream/{index}")
            numbers = np.full(SIZE[0] * SIZE[1] * 2 - 1, GATE, np.uint16)
            numbers[::2] = index + 7
            group.create_dataset("Data", data=numbers[:, np.newaxis])
            put_metadata(group, said)
            acquired = {"bincount": "64", "RasterScanDefinition": {"Width": SIZE[1], "Height": SIZE[0]}}
            acquired = acquired if settings is None else settings
            group.create_dataset("AcquisitionSettings", data=text(acquired), dtype=kind)
        for index, said in enumerate(losses):
            group = file.create_group(f"Data/EelsSpectrumImage/{index}")
            group.create_dataset("Data", data=np.ones((SIZE[1], 16, SIZE[0]), np.uint16))
            put_metadata(group, metadata(Detector="Zebra"))
            if said is not None:
                put_metadata(group, {"Data": said}, "AcquisitionMetadata")
    return path


@pytest.mark.parametrize(
    "binaries",
    [
        [{"DetectorIndex": "1"}, {"DetectorIndex": "2"}],
        [{"Detector": "SuperXG21"}, {"Detector": "SuperXG22"}],
        [{"Detector": "SuperX"}, {"Detector": "SuperX"}],
    ],
    ids=["number", "name", "beginning of names"],
)
def test_detectors_are_found_by_number_name_or_the_beginning_of_it(tmp_path, binaries):
    path = write(tmp_path / "a.emd", [metadata(**binary) for binary in binaries])
    edx = read_spectra(path)
    assert (edx.energy_offset_keV, edx.energy_step_keV) == (-0.1, 0.005)
    assert edx.detectors == ("SuperXG21", "SuperXG22")
    expected = np.zeros((*SIZE, 64))
    expected[..., 7] = expected[..., 8] = 1
    np.testing.assert_array_equal(np.asarray(edx.data[0]), expected)


@pytest.mark.parametrize(
    ("streams", "settings", "losses"),
    [
        ([metadata(Detector="nothing")], None, ()),
        ([metadata(Detector="SuperX")], {}, ()),
        ([], None, (None,)),
        ([], None, ({"offset": "-20"},)),
    ],
)
def test_an_odd_stream_is_left_out_and_noted(tmp_path, streams, settings, losses):
    found = contents(write(tmp_path / "a.emd", streams, settings=settings, losses=losses))
    assert found.spectra == ()
    (series,) = found.series
    assert series.name == "HAADF"
    assert any("left out" in note for note in series.notes)


def test_a_stream_of_an_unknown_detector_does_not_hide_the_energies_of_the_others(tmp_path):
    path = write(tmp_path / "a.emd", [metadata(Detector="nothing"), metadata(Detector="SuperXG22")])
    edx = read_spectra(path)
    assert edx.energy_step_keV == 0.005
    assert edx.detectors == ("nothing", "SuperXG22")


def test_an_odd_energy_loss_range_leaves_the_others(tmp_path):
    losses = (None, {"offset": "-20", "dispersion": "0.5"})
    series = read_spectra(write(tmp_path / "a.emd", [], losses=losses))
    assert series.signal == "EELS"
    assert series.energy_offset_keV == pytest.approx(-0.02)
