"""Series of spectra: from one file with all tilts, or one for each, without reading them."""

import tracemalloc

import h5py
import numpy as np
import pytest
from tests.io.formats.hyperspy.hyperspy_writing import axis, spectral, write_hspy

from chemtomo.errors import ReadError
from chemtomo.io import contents, describe_spectra, read_spectra
from chemtomo.io.storage.lazy import HDF5Values

_SHAPE = (4, 5, 16)


def _axes(scale=0.5, offset=-0.1, step=0.01):
    y, x, energies = _SHAPE
    return [
        axis("y", y, scale, 0, "nm"),
        axis("x", x, scale, 0, "nm"),
        axis("Energy", energies, step, offset, "keV"),
    ]


def _counts(seed):
    return np.random.default_rng(seed).poisson(1.0, _SHAPE).astype(np.uint8)


@pytest.fixture
def one_a_tilt(tmp_path):
    """Files whose names are in another order than their tilts."""
    tilts = {"b": -20.3, "c": 0.1, "a": 33.0}
    for seed, (name, tilt) in enumerate(tilts.items()):
        write_hspy(tmp_path / f"{name}.hspy", _counts(seed), _axes(), spectral("EDX", alpha=tilt))
    return [tmp_path / f"{name}.hspy" for name in "abc"]


def test_one_file_a_tilt_is_sorted_by_the_stage(one_a_tilt):
    series = read_spectra(one_a_tilt)
    assert series.shape == (3, *_SHAPE)
    np.testing.assert_array_equal(series.tilts_deg, [-20.3, 0.1, 33.0])
    np.testing.assert_array_equal(np.asarray(series.data), [_counts(seed) for seed in range(3)])
    assert series.is_lazy
    assert series.name == "EDX"


def test_a_folder_is_a_series(one_a_tilt):
    (one_a_tilt[0].parent / "readme.txt").write_text("notes")
    np.testing.assert_array_equal(
        read_spectra(one_a_tilt[0].parent).tilts_deg, read_spectra(one_a_tilt).tilts_deg
    )


def test_given_tilts_are_in_the_order_of_the_names(one_a_tilt):
    series = read_spectra(list(reversed(one_a_tilt)), tilts=[10.0, 0.0, -10.0])
    np.testing.assert_array_equal(series.tilts_deg, [-10, 0, 10])
    # c, b, a
    np.testing.assert_array_equal(np.asarray(series.data), [_counts(seed) for seed in (1, 0, 2)])


def test_tilts_of_another_number_are_refused(one_a_tilt):
    with pytest.raises(ReadError, match=r"2 tilts.*expected 3"):
        read_spectra(one_a_tilt, tilts=[1.0, 2.0])


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        (_axes(step=0.02), _SHAPE, r"odd\.hspy.*steps of 0\.02.*as in a\.hspy"),
        (_axes(scale=0.7), _SHAPE, r"odd\.hspy.*0\.7 nm.*as in a\.hspy"),
    ],
)
def test_files_that_do_not_fit_are_named(one_a_tilt, axes, shape, message):
    odd = one_a_tilt[0].with_name("odd.hspy")
    write_hspy(odd, np.zeros(shape, np.uint8), axes, spectral("EDX", alpha=50.0))
    with pytest.raises(ReadError, match=message):
        read_spectra([*one_a_tilt, odd])


def test_a_missing_tilt_is_named(one_a_tilt):
    odd = one_a_tilt[0].with_name("odd.hspy")
    write_hspy(odd, _counts(9), _axes(), spectral("EDX"))
    with pytest.raises(ReadError, match=r"odd\.hspy.*no tilt in 1 of 4"):
        read_spectra([*one_a_tilt, odd])


def test_images_alone_are_no_spectra(tmp_path):
    write_hspy(tmp_path / "a.hspy", _counts(0)[..., 0], _axes()[:2])
    with pytest.raises(ReadError, match=r"a\.hspy.*image.*expected a spectrum image"):
        read_spectra(tmp_path / "a.hspy")


def test_a_signal_is_chosen_by_its_name(tmp_path):
    write_hspy(tmp_path / "a.hspy", _counts(0), _axes(), spectral("EELS low", "EELS"))
    write_hspy(tmp_path / "b.hspy", _counts(1), _axes(), spectral("EDX"))
    assert read_spectra([tmp_path / "a.hspy", tmp_path / "b.hspy"]).name == "EDX"
    series = read_spectra([tmp_path / "a.hspy", tmp_path / "b.hspy"], signal="EELS")
    assert (series.name, series.signal) == ("EELS low", "EELS")
    with pytest.raises(ReadError, match=r"EELS low, EDX.*'E'"):
        read_spectra([tmp_path / "a.hspy", tmp_path / "b.hspy"], signal="E")


def test_the_description_is_that_of_the_series(one_a_tilt):
    (said,) = describe_spectra(one_a_tilt)
    assert said["shape"] == [3, *_SHAPE]
    assert said["tilts_deg"] == [-20.3, 0.1, 33.0]
    assert (said["energy_offset_keV"], said["energy_step_keV"]) == (-0.1, 0.01)
    assert said["elements"] == ["Cu", "O"]
    assert describe_spectra(contents(one_a_tilt).spectra) == [said]


@pytest.fixture
def large(tmp_path):
    """20 GB of spectra, of which only a few are stored."""
    path = tmp_path / "large.hspy"
    shape = (37, 256, 256, 4096)
    write_hspy(path, np.zeros((1, 1, 1, 2), np.uint16), [axis("", 1)] * 4, spectral("EDX"))
    with h5py.File(path, "a") as file:
        group = file["Experiments/EDX"]
        del group["data"]
        data = group.create_dataset("data", shape, np.uint16, chunks=(1, 16, 16, 4096))
        data[5, :16, :16, 100] = 3
        described = [axis("tilt", 37, 4, -72, "deg"), axis("y", 256, 1, 0, "nm"), axis("x", 256, 1, 0, "nm")]
        described.append(axis("Energy", 4096, 0.01, 0, "keV"))
        for index, one in enumerate(described):
            group[f"axis-{index}"].attrs.update(one)
    assert np.prod(shape) * 2 > 19e9
    return path


def test_an_image_of_20_gigabytes_is_shown_without_reading_them(large, monkeypatch):
    read = []
    original = HDF5Values.__getitem__

    def counting(self, index):
        values = original(self, index)
        read.append(values.nbytes)
        return values

    monkeypatch.setattr(HDF5Values, "__getitem__", counting)
    tracemalloc.start()
    series = read_spectra(large)
    describe_spectra(large)
    assert read == []
    image = np.asarray(series.sum_images()[5])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert image.sum() == 16 * 16 * 3
    # One tilt of the 37, and of that not all at once.
    assert sum(read) == 256 * 256 * 4096 * 2
    assert peak < 700 << 20
