"""Tilts in the names of files, and which file gets which tilt of a list."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from tests.io.formats.hyperspy.hyperspy_writing import axis, spectral, write_hspy

from chemtomo.errors import NoTiltsError, ReadError
from chemtomo.io import contents, read, read_spectra
from chemtomo.io.tilts.file_names import look_like_tilts, name_order, natural_order, tilts_in_names

STEMS = {
    "{sign}{size}": {"-": "-", "+": ""},
    "{sign}{size} plus": {"-": "-", "+": "+"},
    "sample-2_{sign}{size}": {"-": "-", "+": ""},
    "stack_{sign}{size}deg": {"-": "-", "+": "+"},
    "2026-11-25_{sign}{size}": {"-": "-", "+": ""},
    "20261125-1_{sign}{size}": {"-": "m", "+": "p"},
    "tilt{sign}{size}": {"-": "-", "+": ""},
    "a_neg 3 {sign}{size}": {"-": "neg", "+": "pos"},
}


def named(pattern, tilts):
    signs = STEMS[pattern]
    return [
        Path(f"{pattern.format(sign=signs['-' if tilt < 0 else '+'], size=f'{abs(tilt):g}')}.dm3")
        for tilt in tilts
    ]


@pytest.mark.parametrize("pattern", STEMS)
@given(
    tilts=st.lists(st.integers(-180, 179).map(lambda half: half / 2), min_size=2, max_size=40, unique=True)
)
def test_the_number_that_differs_is_the_tilt_with_its_sign(pattern, tilts):
    tilts = [*tilts, -0.5 - abs(min(tilts)), 90.0]  # of both signs
    paths = named(pattern, tilts)
    assert tilts_in_names(paths) == tilts
    assert look_like_tilts(paths)
    assert [tilts[index] for index in name_order(paths)] == sorted(tilts)


def test_a_hyphen_in_a_word_or_a_date_is_no_minus():
    assert tilts_in_names([Path("s-1.mrc"), Path("s-2.mrc")]) == [1, 2]
    assert not look_like_tilts([Path("s-1.mrc"), Path("s-2.mrc")])
    assert not look_like_tilts([Path(f"2026-11-{day}_a.mrc") for day in (23, 24)])
    names = ["a-2.tif", "a-10.tif", "2026-01-02_b.tif", "2026-01-10_b.tif"]
    assert [path.name for path in sorted(map(Path, names), key=natural_order)] == [*names[2:], *names[:2]]


def test_a_number_of_the_image_is_no_obstacle_to_a_signed_tilt():
    paths = [Path(name) for name in ("run_001_0.mrc", "run_002_-30.mrc", "run_003_30.mrc")]
    assert tilts_in_names(paths) == [0, -30, 30]
    assert name_order(paths) == [0, 1, 2]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("one", "two"), "names that differ in more than numbers"),
        (("a_1_10", "a_2_20"), "found 2 numbers that can be the tilt"),
        (("a_500", "a_600"), "found no number that can be the tilt"),
    ],
)
def test_names_without_one_tilt_are_refused(names, said):
    with pytest.raises(ReadError, match=said):
        tilts_in_names([Path(f"{name}.mrc") for name in names])


@pytest.fixture
def signed(tmp_path):
    """One image a tilt, whose value and name are its tilt."""
    for tilt in (-40, -5, 0, 5, 35):
        tifffile.imwrite(tmp_path / f"{tilt}.tif", np.full((4, 5), tilt, np.float32))
    return tmp_path


def test_a_list_goes_to_signed_names_in_the_order_of_their_numbers(signed):
    (series,) = read(signed, tilts=[-41, -6, 1, 6, 36])
    assert series.values()[:, 0, 0].tolist() == [-40, -5, 0, 5, 35]
    assert series.tilts_deg.tolist() == [-41, -6, 1, 6, 36]
    (note,) = [one for one in series.notes if "in the order of the names" in one]
    assert "-40.tif -41, -5.tif -6, 0.tif 1, 5.tif 6, 35.tif 36" in note


def test_tilts_from_the_names_of_images(signed):
    (series,) = read(signed, tilts="names")
    assert series.tilts_deg.tolist() == series.values()[:, 0, 0].tolist() == [-40, -5, 0, 5, 35]
    assert any("tilts from the names" in one and "-5.tif -5" in one for one in series.notes)


def test_missing_tilts_propose_the_names_only_where_these_look_like_tilts(signed, tmp_path_factory):
    with pytest.raises(NoTiltsError, match="--tilts names") as caught:
        read(signed)
    assert caught.value.from_names
    other = tmp_path_factory.mktemp("numbered")
    for number in (1, 2, 3):
        tifffile.imwrite(other / f"image_{number}.tif", np.ones((4, 5), np.float32))
    with pytest.raises(NoTiltsError) as caught:
        read(other)
    assert not caught.value.from_names
    assert "--tilts names" not in str(caught.value)


def test_tilts_from_the_names_of_spectra(tmp_path):
    axes = [axis("y", 2, 1, 0, "nm"), axis("x", 3, 1, 0, "nm"), axis("Energy", 8, 0.01, 0, "keV")]
    for tilt in (-10, 5, 20):
        data = np.full((2, 3, 8), 100 + tilt, np.uint8)
        write_hspy(tmp_path / f"map_{tilt}.hspy", data, axes, spectral("EDX", "EDS_TEM"))
    with pytest.raises(NoTiltsError, match="--tilts names"):
        read_spectra(tmp_path)
    for tilts in ("names", [-10, 5, 20]):
        series = read_spectra(tmp_path, tilts=tilts)
        assert series.tilts_deg.tolist() == [-10, 5, 20]
        assert np.asarray(series.data)[:, 0, 0, 0].tolist() == [90, 105, 120]
        assert any("map_-10.hspy -10, map_5.hspy 5, map_20.hspy 20" in one for one in series.notes)


def test_a_stack_has_no_name_for_every_tilt(tmp_path):
    np.save(tmp_path / "a_-40.npy", np.ones((3, 4, 5), np.float32))
    with pytest.raises(ReadError, match="found 3 projections in one file; expected one file per tilt"):
        read(tmp_path / "a_-40.npy", tilts="names")


def test_the_real_series_has_its_tilts_in_its_names(data_folder):
    found = contents(data_folder / "real" / "edx_series", tilts="names")
    assert found.series[0].tilts_deg.tolist() == list(range(-40, 36, 5))


def test_a_stack_beside_files_with_tilts_in_their_names_keeps_its_own(tmp_path):
    for tilt in (-10, 0, 10):
        tifffile.imwrite(tmp_path / f"{tilt}.tif", np.ones((4, 5), np.uint16))
    np.savez(tmp_path / "maps.npz", data=np.ones((2, 4, 5), np.uint16), tilts=np.array([-5.0, 5.0]))
    images = [tmp_path / f"{tilt}.tif" for tilt in (-10, 0, 10)]
    dataset = read([*images, tmp_path / "maps.npz"], tilts="names")
    assert [one.tilts_deg.tolist() for one in dataset] == [[-10, 0, 10], [-5, 5]]
