"""Digital Micrograph and others through RosettaSciIO: stage tilts, names, spectra, and damaged files."""

import logging
import random

import numpy as np
import pytest
from tests.io.formats.rosetta.digital_micrograph_writing import write_dm3

from chemtomo.errors import ReadError
from chemtomo.io import read, read_spectra
from chemtomo.io.formats.registry import find

_IMAGE = np.arange(20, dtype=np.uint16).reshape(4, 5)
_NM = [(0.5, 0.0, "nm"), (0.5, 0.0, "nm")]


def _stage(alpha: float, signal: str | None = None):
    tags = {
        "Microscope Info": {"Stage Position": {"Stage Alpha": alpha, "Stage Beta": 1.0}, "Voltage": 200000.0}
    }
    return tags | ({"DataBar": {"Signal Name": signal}} if signal else {})


def test_an_image_has_the_tilt_of_the_stage(tmp_path):
    write_dm3(tmp_path / "a.dm3", _IMAGE, _NM, _stage(-12.34, "HAADF"))
    (found,) = find(tmp_path / "a.dm3")
    assert found.kind == "image"
    assert found.tilts_deg == pytest.approx(-12.34, abs=1e-3)
    assert (found.name, found.named) == ("HAADF", True)
    assert found.pixel_size_nm == 0.5
    assert found.beam_energy_keV == 200
    np.testing.assert_array_equal(np.asarray(found.data), _IMAGE)


def test_a_set_of_images_is_sorted_by_its_real_tilts(tmp_path):
    """Not by an even range from the smallest to the largest."""
    tilts = {"c": -60.0, "a": -7.5, "b": 61.25}
    for index, (name, tilt) in enumerate(tilts.items()):
        write_dm3(tmp_path / f"{name}.dm3", _IMAGE + index, _NM, _stage(tilt, "HAADF"))
    (series,) = read(sorted(tmp_path.glob("*.dm3")))
    assert series.name == "HAADF"
    np.testing.assert_allclose(series.tilts_deg, [-60, -7.5, 61.25], atol=1e-3)
    np.testing.assert_array_equal(series.values(), [_IMAGE, _IMAGE + 1, _IMAGE + 2])


def test_a_stack_in_degrees_has_its_tilts(tmp_path):
    data = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    write_dm3(tmp_path / "s.dm3", data, [*_NM, (1.5, 2.0, "deg")])
    (series,) = read(tmp_path / "s.dm3")
    assert series.name == "s"
    # The origin of this format counts pixels: 0 is 2 of them after the first.
    np.testing.assert_allclose(series.tilts_deg, [-3.0, -1.5, 0.0])
    np.testing.assert_array_equal(series.values(), data)


def test_recorded_tilts_come_before_the_even_axis(tmp_path):
    data = np.zeros((3, 4, 5), np.int16)
    recorded = {"0": -3.01, "1": -1.52, "2": 0.03}
    tags = {"Meta Data": {"Dimension info": {"2": {"Data": recorded, "Units": "deg"}}}}
    write_dm3(tmp_path / "s.dm3", data, [*_NM, (1.5, 2.0, "deg")], tags)
    np.testing.assert_allclose(read(tmp_path / "s.dm3").series[0].tilts_deg, list(recorded.values()))


def test_energy_loss_spectra_have_their_energies_last(tmp_path):
    """This format has them first."""
    data = np.random.default_rng(0).poisson(5, (8, 4, 5)).astype(np.uint16)
    tags = {"Meta Data": {"Format": "Spectrum image", "Signal": "EELS"}, **_stage(20.0)}
    write_dm3(tmp_path / "s.dm3", data, [*_NM, (0.25, -1600.0, "eV")], tags)
    series = read_spectra(tmp_path / "s.dm3")
    assert series.signal == "EELS"
    assert series.name == "EELS"
    np.testing.assert_array_equal(np.asarray(series.data[0]), data.transpose(1, 2, 0))
    assert series.energy_offset_keV == pytest.approx(0.4)
    assert series.energy_step_keV == pytest.approx(0.25e-3)
    np.testing.assert_allclose(series.tilts_deg, [20.0], atol=1e-3)


def test_a_header_that_announces_too_much_allocates_nothing(tmp_path):
    import tracemalloc

    write_dm3(tmp_path / "huge.dm3", _IMAGE, _NM, shape=(40000, 50000))
    tracemalloc.start()
    with pytest.raises(ReadError, match=r"huge\.dm3.*40000 x 50000"):
        find(tmp_path / "huge.dm3")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 << 20


@pytest.mark.parametrize(
    "suffix", [".dm3", ".dm4", ".bcf", ".spd", ".ser", ".pts", ".asw", ".img", ".emi", ".prz"]
)
@pytest.mark.parametrize("content", [b"", b"no image at all\n" * 200, bytes(5000), b"\xff" * 5000])
def test_what_is_no_such_file_is_refused_by_name(tmp_path, suffix, content):
    path = tmp_path / f"other{suffix}"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=r"other\."):
        find(path)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    import rsciio.jeol as library

    def reading(*arguments, **options):
        raise ModuleNotFoundError("No module named 'numba'", name="numba")

    monkeypatch.setattr(library, "file_reader", reading)
    (tmp_path / "a.pts").write_bytes(bytes(100))
    with pytest.raises(ReadError, match=r"a\.pts.*pip install numba"):
        find(tmp_path / "a.pts")


def test_a_missing_companion_is_named(tmp_path):
    (tmp_path / "a.rpl").write_text("key\tvalue\nwidth\t4\nheight\t4\ndepth\t1\noffset\t0\ndata-length\t1\n")
    with pytest.raises(ReadError, match=r"a\.rpl"):
        find(tmp_path / "a.rpl")


def test_warnings_of_the_library_are_notes(tmp_path, monkeypatch, capfd):
    import warnings

    import rsciio.digitalmicrograph as library

    write_dm3(tmp_path / "a.dm3", _IMAGE, _NM, _stage(1.0))
    original = library.file_reader

    def warning(*arguments, **options):
        warnings.warn("an odd tag", UserWarning, stacklevel=1)
        logging.getLogger("rsciio.digitalmicrograph").warning("a strange value")
        return original(*arguments, **options)

    monkeypatch.setattr(library, "file_reader", warning)
    (found,) = find(tmp_path / "a.dm3")
    assert found.notes == ("rsciio: an odd tag", "rsciio: a strange value")
    assert capfd.readouterr().err == ""


def test_spectra_of_bruker_have_the_pixels_of_their_images():
    """The library gives the columns of spectra the size of the rows."""
    from chemtomo.io.formats.rosetta.bruker import correct_pixel_width

    def signal(width, *more):
        axes = [{"name": "height", "scale": 3.0}, {"name": "width", "scale": width}, *more]
        return {"axes": [one | {"units": "nm"} for one in axes]}

    signals = [signal(2.0), signal(3.0, {"name": "Energy", "scale": 0.01})]
    correct_pixel_width(signals)
    for one in signals:
        assert [axis["scale"] for axis in one["axes"][:2]] == [3.0, 2.0]
    alone = [signal(3.0, {"name": "Energy", "scale": 0.01})]
    correct_pixel_width(alone)
    assert alone[0]["axes"][1]["scale"] == 3.0


def _damaged(raw: bytes, seed: int) -> bytes:
    """Return a file with something wrong with it: cut off, or with other bytes somewhere."""
    rng = random.Random(seed)
    if seed % 3 == 0:
        return raw[: rng.randrange(len(raw))]
    changed = bytearray(raw)
    for _ in range(rng.choice([1, 4, 64])):
        changed[rng.randrange(len(raw))] = rng.choice([0, 255, rng.randrange(256)])
    return bytes(changed)


@pytest.mark.parametrize("name", ["HAADF.dm3", "test_TEM.bcf", "fei_example_tem_stack.emd"])
def test_damaged_files_are_read_or_refused(data_folder, tmp_path, name):
    """Also the values: a decoder that is not careful ends the process here."""
    source = data_folder / "vendor" / name
    if not source.is_file():
        pytest.skip(f"no file of a microscope: found no {source}")
    raw = source.read_bytes()
    said = []
    for seed in range(45):
        path = tmp_path / f"damaged{seed}{source.suffix}"
        path.write_bytes(_damaged(raw, seed))
        message = _refusal(path)
        assert message is None or path.name in message
        said.append(message)
    assert sum(one is not None for one in said) >= 10


def _refusal(path) -> str | None:
    """Return what is said of a file that cannot be read; None for one that can."""
    try:
        for found in find(path):
            np.asarray(found.data)
    except ReadError as error:
        return str(error)
    return None


def test_a_truncated_bruker_file_says_so(data_folder, tmp_path):
    source = data_folder / "vendor" / "test_TEM.bcf"
    if not source.is_file():
        pytest.skip(f"no file of a microscope: found no {source}")
    path = tmp_path / "cut.bcf"
    path.write_bytes(source.read_bytes()[:250000])
    with pytest.raises(ReadError, match=r"cut\.bcf: truncated: found 250000 bytes; expected"):
        find(path)
