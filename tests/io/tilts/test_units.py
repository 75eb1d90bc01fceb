"""Tilts in radians, in every place where files keep tilts; and as many as there are projections."""

import json

import h5py
import numpy as np
import pytest
from tests.io.formats.hyperspy.hyperspy_writing import axis, write_hspy
from tests.io.formats.ome_zarr.test_read import write_zarr

from chemtomo.errors import ReadError
from chemtomo.io import contents, read
from chemtomo.io.tilts.angle_files import read_angles_and_unit

DEGREES = np.arange(-60.0, 61.0, 10.0)
RADIANS = np.deg2rad(DEGREES)
STACK = np.arange(13 * 4 * 5, dtype=np.float32).reshape(13, 4, 5)


def lines(numbers, heading=""):
    return heading + "".join(f"{one!r}\n" for one in numbers.tolist())


@pytest.fixture
def stack(tmp_path):
    np.save(tmp_path / "a.npy", STACK)
    return tmp_path / "a.npy"


def only(path, **options):
    (series,) = read(path, **options)
    return series


def may_be_radians(series):
    return any("--tilts-unit rad" in note for note in series.notes)


@pytest.mark.parametrize(
    ("heading", "unit"),
    [
        ("tilt angle [rad]\n", "rad"),
        ("Tilt (radians)\n", "rad"),
        ("# recorded tilts in rad\n", "rad"),
        ("alpha_rad\n", "rad"),
        ("tilt angle [deg]\n", "deg"),
        ("tilt (°)\n", "deg"),
        ("# gradient\n", None),
        ("tilt\n", None),
    ],
)
@pytest.mark.parametrize("ending", [".csv", ".txt"])
def test_a_heading_says_the_unit(tmp_path, heading, unit, ending):
    path = tmp_path / f"a{ending}"
    path.write_text(lines(RADIANS, heading))
    found, said = read_angles_and_unit(path)
    assert said == unit
    np.testing.assert_allclose(found, DEGREES if unit == "rad" else RADIANS)


def test_the_unit_is_that_of_the_column_of_the_tilts(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("beta [rad],tilt\n0.1,10\n0.2,20\n")
    assert read_angles_and_unit(path)[0].tolist() == [10, 20]


def test_a_table_in_radians_beside_a_stack(stack):
    stack.with_suffix(".csv").write_text(lines(RADIANS, "tilt angle [rad]\n"))
    series = only(stack)
    np.testing.assert_allclose(series.tilts_deg, DEGREES)
    assert not may_be_radians(series)


@pytest.mark.parametrize("tilts", ["file", "range", "numbers", "beside"])
def test_the_unit_given_holds_for_every_source(stack, tilts):
    path = stack.with_name("b.tlt" if tilts == "file" else "a.rawtlt")
    path.write_text(lines(RADIANS))
    step = float(RADIANS[1] - RADIANS[0])
    given = {
        "file": path,
        "range": f"{RADIANS[0]:.9f}:{step:.9f}:13",
        "numbers": RADIANS,
        "beside": None,
    }[tilts]
    series = only(stack, tilts=given, tilts_unit="rad")
    np.testing.assert_allclose(series.tilts_deg, DEGREES, atol=1e-5)
    assert not may_be_radians(series)
    np.testing.assert_allclose(only(stack, tilts=given).tilts_deg, RADIANS, atol=1e-8)
    assert may_be_radians(only(stack, tilts=given))
    assert not may_be_radians(only(stack, tilts=given, tilts_unit="deg"))


def test_a_range_that_can_be_of_degrees_is_left_alone(stack):
    for tilts in (DEGREES, np.linspace(-3, 3, 13), np.full(13, 0.5), np.linspace(-0.05, 0.05, 13)):
        assert not may_be_radians(only(stack, tilts=tilts))


def test_another_unit_than_these_is_refused(stack):
    with pytest.raises(ReadError, match="expected 'deg' or 'rad'"):
        read(stack, tilts=DEGREES, tilts_unit="grad")


@pytest.mark.parametrize(
    ("key", "unit"),
    [("angles", None), ("tilts", None), ("tilts_rad", "rad"), ("angles_rad", "rad"), ("tilts_deg", "deg")],
)
def test_numpy_archives(tmp_path, key, unit):
    np.savez(tmp_path / "a.npz", a=STACK, **{key: RADIANS})
    series = only(tmp_path / "a.npz")
    np.testing.assert_allclose(series.tilts_deg, DEGREES if unit == "rad" else RADIANS)
    assert may_be_radians(series) == (unit is None)
    np.testing.assert_allclose(only(tmp_path / "a.npz", tilts_unit="rad").tilts_deg, DEGREES)


@pytest.mark.parametrize(("unit", "said"), [("rad", True), ("deg", True), ("", False)])
def test_axes_of_hyperspy(tmp_path, unit, said):
    step = RADIANS[1] - RADIANS[0]
    axes = [axis("tilt", 13, step, RADIANS[0], unit), axis("y", 4, 1, 0, "nm"), axis("x", 5, 1, 0, "nm")]
    write_hspy(tmp_path / "a.hspy", STACK, axes)
    series = only(tmp_path / "a.hspy")
    np.testing.assert_allclose(series.tilts_deg, DEGREES if unit == "rad" else RADIANS, atol=1e-9)
    assert may_be_radians(series) == (not said)
    np.testing.assert_allclose(only(tmp_path / "a.hspy", tilts_unit="rad").tilts_deg, DEGREES, atol=1e-9)


def write_emd(path, dims, data=STACK):
    with h5py.File(path, "w") as file:
        group = file.create_group("data/series")
        group.attrs["emd_group_type"] = 1
        group.create_dataset("data", data=data)
        for index, (name, unit, values) in enumerate(dims, start=1):
            dim = group.create_dataset(f"dim{index}", data=np.asarray(values))
            dim.attrs["name"], dim.attrs["units"] = np.bytes_(name), np.bytes_(unit)
    return path


def dims(tilts, name="tilt", unit="[rad]"):
    return [(name, unit, tilts), ("y", "[n_m]", np.arange(4.0)), ("x", "[n_m]", np.arange(5.0))]


def test_axes_of_emd(tmp_path):
    np.testing.assert_allclose(only(write_emd(tmp_path / "a.emd", dims(RADIANS))).tilts_deg, DEGREES)
    assert may_be_radians(only(write_emd(tmp_path / "b.emd", dims(RADIANS, unit=""))))


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("scattering angle", "mrad"),
        ("bin_outer_angle", "[mrad]"),
        ("alpha", "mrad"),
        ("azimuth", "rad"),
        ("detector angle", "deg"),
        ("beam tilt", "mrad"),
        ("", "mrad"),
    ],
)
def test_only_an_axis_that_is_called_tilt_is_one(tmp_path, name, unit):
    path = write_emd(tmp_path / "a.emd", dims(np.arange(13.0), name, unit))
    with pytest.raises(ReadError, match=r"a\.emd: found \(13, 4, 5\)"):
        read(path)


@pytest.mark.parametrize(
    ("name", "unit"), [("stage tilt", "mrad"), ("Tilt_angles", "rad"), ("alpha", "deg"), ("", "deg")]
)
def test_an_axis_that_is_called_tilt_is_one_in_any_unit(tmp_path, name, unit):
    values = {"mrad": 1000 * RADIANS, "rad": RADIANS, "deg": DEGREES}[unit]
    path = write_emd(tmp_path / "a.emd", dims(values, name, unit))
    np.testing.assert_allclose(only(path).tilts_deg, DEGREES)


# As many tilts as projections


@pytest.mark.parametrize("count", [1, 3, 12, 31])
def test_an_emd_with_other_than_one_angle_an_image(tmp_path, count):
    path = write_emd(tmp_path / "a.emd", dims(np.arange(float(count)), unit="[deg]"))
    said = f"a.emd: found {count} tilts in the file itself; expected 13, one for each projection"
    with pytest.raises(ReadError, match=said):
        read(path)
    series = only(path, tilts=DEGREES)
    assert series.tilts_deg.tolist() == DEGREES.tolist()
    path.with_suffix(".rawtlt").write_text(lines(DEGREES))
    assert f"the file itself has {count} tilts for 13 projections and is not used" in only(path).notes


def test_hyperspy_metadata_with_other_than_one_tilt_an_image(tmp_path):
    metadata = {"Acquisition_instrument": {"TEM": {"Stage": {"tilt_series_alpha": np.arange(31.0)}}}}
    metadata |= {"General": {"title": ""}}
    lengths = [axis("y", 4, 1, 0, "nm"), axis("x", 5, 1, 0, "nm")]
    write_hspy(tmp_path / "a.hspy", STACK, [axis("", 13), *lengths], metadata)
    with pytest.raises(ReadError, match="found 31 tilts in the file itself; expected 13"):
        read(tmp_path / "a.hspy")
    # As after a part of the images was taken out: the axis goes along, and the metadata do not.
    write_hspy(tmp_path / "b.hspy", STACK, [axis("tilt", 13, 10, -60, "deg"), *lengths], metadata)
    series = only(tmp_path / "b.hspy")
    assert series.tilts_deg.tolist() == DEGREES.tolist()
    assert any("31 tilts in the metadata are not used" in note for note in series.notes)


@pytest.mark.parametrize("place", ["Acquisition_instrument.TEM", "Acquisition_instrument.SEM", "TEM"])
def test_the_stage_of_old_hyperspy(tmp_path, place):
    metadata = {"tilt_stage": 12.5}
    for name in reversed(place.split(".")):
        metadata = {name: metadata}
    metadata |= {"General": {"title": ""}}
    for tilt in (12.5, -3.0):
        inner = metadata
        for name in place.split("."):
            inner = inner[name]
        inner["tilt_stage"] = tilt
        path = tmp_path / f"image_{tilt:g}.hspy"
        write_hspy(path, STACK[0], [axis("y", 4, 1, 0, "nm"), axis("x", 5, 1, 0, "nm")], metadata)
    (series,) = contents(tmp_path).series
    assert series.tilts_deg.tolist() == [-3, 12.5]


@pytest.mark.parametrize("unit", ["degree", "radian"])
def test_an_axis_of_angles_in_ome_zarr(tmp_path, unit):
    values = DEGREES if unit == "degree" else RADIANS

    def tilted(described):
        (multiscale,) = described["multiscales"]
        multiscale["axes"][0]["unit"] = unit
        for level in multiscale["datasets"]:
            (scale,) = level["coordinateTransformations"]
            scale["scale"][0] = float(values[1] - values[0])
            move = {"type": "translation", "translation": [float(values[0]), 0.0, 0.0]}
            level["coordinateTransformations"].append(move)

    write_zarr(tmp_path / "a.zarr", STACK, "zyx", change=tilted)
    np.testing.assert_allclose(only(tmp_path / "a.zarr").tilts_deg, DEGREES, atol=1e-9)


@pytest.mark.parametrize(("frames", "tilts"), [(13, DEGREES), (1, np.full(13, -60.0)), (9, None)])
def test_the_stage_in_every_frame_of_velox(tmp_path, frames, tilts):
    path = tmp_path / "a.emd"
    with h5py.File(path, "w") as file:
        file["Version"] = np.array([b'{"format": "Velox", "version": "1.9"}'], dtype=object)
        group = file.create_group("Data/Image/1")
        group["Data"] = STACK.transpose(1, 2, 0)
        texts = [
            json.dumps({"Stage": {"AlphaTilt": repr(angle)}}).encode() for angle in RADIANS[:frames].tolist()
        ]
        columns = np.zeros((200, frames), np.uint8)
        for column, text in zip(columns.T, texts, strict=True):
            column[: len(text)] = np.frombuffer(text, np.uint8)
        group["Metadata"] = columns
    if tilts is None:
        with pytest.raises(ReadError, match="found 9 tilts in the file itself; expected 13"):
            read(path)
        assert only(path, tilts=DEGREES).tilts_deg.tolist() == DEGREES.tolist()
    else:
        np.testing.assert_allclose(only(path).tilts_deg, tilts, atol=1e-9)
        np.testing.assert_allclose(only(path, tilts_unit="rad").tilts_deg, tilts, atol=1e-9)
