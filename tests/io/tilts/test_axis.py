"""The tilt axis that files say, in the array, and where it stays."""

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError
from chemtomo.io import read, write_dataset
from chemtomo.io.assembly import source_files as expand
from chemtomo.io.tilts import sources as tilts
from chemtomo.io.tilts.axis import axis_angle_in_text, axis_from_imod, wrap_angle
from chemtomo.io.tilts.mdoc import read_mdoc
from chemtomo.preprocess import bin_pixels, crop, drop_tilts

MDOC = "[T = SerialEM: somewhere]\n[T =     Tilt axis angle = 85.3, binning = 1  spot = 8  camera = 0]\n"
SECTIONS = "".join(f"[ZValue = {n}]\nTiltAngle = {n - 1}\nRotationAngle = 175.3\n" for n in range(3))


def write_mrc(path, label=None, data=None):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.ones((3, 4, 5), np.float32) if data is None else data)
        file.set_image_stack()
        file.voxel_size = 20
        if label is not None:
            file.add_label(label)
    return path


def axis_of(path, **options):
    return read(path, **options).series[0].axis_angle_deg


@given(angle=st.floats(-720, 720))
def test_angles_are_directions(angle):
    found = wrap_angle(angle)
    assert -180 < found <= 180
    difference = np.deg2rad(found - angle)
    np.testing.assert_allclose([np.cos(difference), np.sin(difference)], [1, 0], atol=1e-6)


@given(angle=st.floats(-180, 180))
def test_the_axis_is_the_line_that_imod_draws(angle):
    """Counterclockwise from the vertical, seen upright, whichever row is the first."""
    up, right = np.cos(np.deg2rad(angle)), -np.sin(np.deg2rad(angle))
    for bottom_row_first in (True, False):
        found = np.deg2rad(axis_from_imod(angle, bottom_row_first=bottom_row_first))
        y, x = np.cos(found), np.sin(found)
        np.testing.assert_allclose([y if bottom_row_first else -y, x], [up, right], atol=1e-7)


@pytest.mark.parametrize(
    ("text", "angle"),
    [
        ("    Tilt axis angle = 85.3, binning = 1  spot = 8", 85.3),
        ("Tilt axis rotation angle =   -24.9", -24.9),
        ("tilt_axis_angle_deg: -90", -90),
        ("tilt axis (deg) = 4", 4),
        ("Tilt axis angle = unknown", None),
        ("TiltAngle = 3", None),
        ("", None),
    ],
)
def test_the_ways_in_which_programs_say_it(text, angle):
    assert axis_angle_in_text(text) == angle


def test_the_title_of_an_mdoc_is_the_axis_of_its_stack(tmp_path):
    path = write_mrc(tmp_path / "a.st")
    (tmp_path / "a.st.mdoc").write_text(MDOC + SECTIONS)
    assert axis_of(path) == -85.3
    (tmp_path / "a.st.mdoc").write_text(MDOC.replace("85.3", "-90.0") + SECTIONS)
    assert axis_of(path) == 90


def test_the_rotation_of_the_image_is_a_quarter_turn_from_it(tmp_path):
    path = write_mrc(tmp_path / "a.st")
    (tmp_path / "a.st.mdoc").write_text(SECTIONS)
    assert axis_of(path) == -85.3
    (tmp_path / "a.st.mdoc").write_text(SECTIONS.replace("RotationAngle = 175.3\n", "RotationAngle = 5\n", 1))
    assert axis_of(path) is None
    for odd in ("nan", "about 5", ""):
        (tmp_path / "a.st.mdoc").write_text(SECTIONS.replace("175.3", odd))
        assert axis_of(path) is None
    (tmp_path / "a.st.mdoc").write_text(SECTIONS.replace("TiltAngle", "RotationAndFlip = 3\nTiltAngle"))
    assert axis_of(path) is None


def test_a_title_of_an_mrc_file_says_it_too_but_not_after_imod_has_aligned_it(tmp_path):
    label = "    Tilt axis angle = 85.3, binning = 1  spot = 8  camera = 0"
    assert axis_of(write_mrc(tmp_path / "a.mrc", label), tilts=[1, 2, 3]) == -85.3
    assert axis_of(write_mrc(tmp_path / "a.ali", label), tilts=[1, 2, 3]) is None
    assert axis_of(write_mrc(tmp_path / "b.mrc"), tilts=[1, 2, 3]) is None


def test_the_extended_header_of_fei_says_it_unless_it_is_zero(tmp_path):
    for angle, label, expected in (
        (-24.9, "Fei Company (C) Copyright 2003", -24.9),
        (-24.9, "other", 24.9),
        (0, "other", None),
    ):
        path = write_mrc(tmp_path / "a.mrc", label)
        records = np.zeros((1024, 32), "<f4")
        records[:3, 0], records[:3, 10], records[:3, 11] = (-10, 0, 10), angle, 2e-9
        with mrcfile.open(path, "r+") as file:
            labels = file.header.label.copy()
            labels[0], file.header.nlabl = label.encode(), 1
            file.header.label = labels
            file.set_extended_header(np.frombuffer(records.tobytes(), "V1"))
        (series,) = read(path)
        assert series.tilts_deg.tolist() == [-10, 0, 10]
        assert series.axis_angle_deg == (None if expected is None else pytest.approx(expected, abs=1e-5))


def test_the_description_of_a_tiff_says_it_in_rows_from_the_top(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.ones((3, 4, 5), np.float32),
        description="Tilt axis angle = -90.0, binning = 1",
        metadata=None,
        photometric="minisblack",
    )
    assert axis_of(path, tilts=[1, 2, 3]) == 90
    tifffile.imwrite(
        path, np.ones((3, 4, 5), np.float32), description="angle", metadata=None, photometric="minisblack"
    )
    assert axis_of(path, tilts=[1, 2, 3]) is None


@pytest.mark.parametrize(("said", "expected"), [("x", 90), ("y", 0), (-90.0, 90), (170.0, -10)])
@pytest.mark.parametrize("where", ["data", "group", "microscope"])
def test_an_attribute_of_an_emd_says_it(tmp_path, said, expected, where):
    path = tmp_path / "a.emd"
    with h5py.File(path, "w") as file:
        group = file.create_group("data/series")
        group.attrs["emd_group_type"] = 1
        dataset = group.create_dataset("data", data=np.ones((3, 4, 5), np.float32))
        for index, (name, unit, size) in enumerate(
            (("tilt", "[deg]", 3), ("y", "[n_m]", 4), ("x", "[n_m]", 5))
        ):
            dim = group.create_dataset(f"dim{index + 1}", data=np.arange(size, dtype=np.float32))
            dim.attrs["name"], dim.attrs["units"] = np.bytes_(name), np.bytes_(unit)
        place = {"data": dataset, "group": group, "microscope": file.require_group("microscope")}[where]
        place.attrs["tilt axis" if isinstance(said, str) else "tilt_axis_angle"] = said
    assert axis_of(path) == expected


def test_an_mdoc_of_images_is_asked_once_for_all_of_them(tmp_path, monkeypatch):
    text = MDOC
    for number in range(6):
        write_mrc(tmp_path / f"t{number}.mrc", data=np.ones((1, 4, 5), np.float32))
        text += f"[ZValue = {number}]\nTiltAngle = {number}\nImageFile = t{number}.mrc\n"
    path = tmp_path / "series.mdoc"
    path.write_text(text)
    asked = []
    monkeypatch.setattr(expand, "read_mdoc", lambda one: asked.append(one) or read_mdoc(one))
    monkeypatch.setattr(tilts, "read_mdoc", lambda one: asked.append(one) or read_mdoc(one))
    assert axis_of(path) == -85.3
    assert asked == [path]


def test_files_of_one_series_have_to_agree(tmp_path):
    for number, angle in enumerate((85.3, 85.4, 85.2)):
        path = write_mrc(tmp_path / f"t_{number}.mrc", data=np.ones((1, 4, 5), np.float32))
        text = MDOC.replace("85.3", str(angle)) + f"[ZValue = 0]\nTiltAngle = {number}\n"
        path.with_name(f"{path.name}.mdoc").write_text(text)
    assert axis_of(tmp_path) == -85.3
    path.with_name(f"{path.name}.mdoc").write_text(text.replace("85.2", "5"))
    assert axis_of(tmp_path) is None


@pytest.mark.parametrize("name", ["s.zarr", "s.ome.tif", "s.emd", "s.hspy", "s.mrc"])
def test_it_stays_through_files_and_through_what_does_not_turn_the_images(tmp_path, name):
    series = TiltSeries("a", np.ones((3, 6, 8), np.float32), [0, 1, 2], axis_angle_deg=-85.3)
    series = bin_pixels(crop(drop_tilts(series, [0]), (1, 7), (1, 5)), 2)
    assert read(write_dataset(Dataset((series,)), tmp_path / name))["a"].axis_angle_deg == -85.3


def test_it_is_an_angle():
    with pytest.raises(DataError, match="the tilt axis is at nan degrees"):
        TiltSeries("a", np.ones((1, 2, 2)), [0], axis_angle_deg=float("nan"))
