from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.errors import ReadError
from chemtomo.io.tilts.mdoc import parse_mdoc, read_mdoc

HERE = Path("a.st.mdoc")
HEAD = """PixelSpacing = 5.44
ImageFile = a.st
ImageSize = 64 64
DataMode = 1

[T = SerialEM: Digitized on some microscope        01-Jan-20  12:00:00    ]

[T =     Tilt axis angle = 85.3, binning = 2  spot = 5  camera = 0]
"""


def section(number, tilt, **entries):
    lines = [f"[ZValue = {number}]", f"TiltAngle = {tilt}"]
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in entries.items())]) + "\n\n"


def parse(text):
    return parse_mdoc(text, HERE)


def message(text, ask=lambda mdoc: mdoc.stack_tilts_deg()):
    with pytest.raises(ReadError) as caught:
        ask(parse(text))
    assert "a.st.mdoc" in str(caught.value)
    return str(caught.value)


def test_global_keys_titles_and_sections_are_told_apart():
    mdoc = parse(HEAD + section(0, -60.01, ExposureDose=1.2) + section(1, -58, PixelSpacing=99))
    assert mdoc.entries["ImageFile"] == "a.st"
    assert mdoc.titles[1] == "Tilt axis angle = 85.3, binning = 2  spot = 5  camera = 0"
    assert [one.value for one in mdoc.sections] == ["0", "1"]
    assert mdoc.sections[0].entries["ExposureDose"] == "1.2"
    assert mdoc.tilts_deg() == [-60.01, -58.0]
    assert mdoc.pixel_size_nm == 0.544


@given(
    tilts=st.lists(st.floats(-180, 180), min_size=1, max_size=200),
    order=st.randoms(use_true_random=False),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_tilts_are_those_of_the_numbered_images_in_any_order(tilts, order, newline):
    sections = [section(number, repr(tilt)) for number, tilt in enumerate(tilts)]
    order.shuffle(sections)
    mdoc = parse((HEAD + "".join(sections)).replace("\n", newline))
    assert mdoc.stack_tilts_deg().tolist() == tilts


def look_at_everything(text):
    """Return what is wrong, or nothing where the text is an mdoc file with sensible numbers."""
    try:
        mdoc = parse(text)
        tilts = mdoc.stack_tilts_deg()
        mdoc.image_names()
        size = mdoc.pixel_size_nm
    except ReadError as error:
        return str(error)
    assert tilts is None or abs(tilts).max() <= 360
    assert size is None or size > 0
    return None


@given(st.text(max_size=300))
def test_any_text_is_parsed_or_refused_with_the_name_of_the_file(text):
    said = look_at_everything(text)
    assert said is None or "a.st.mdoc" in said


@given(
    keys=st.lists(
        st.sampled_from(["TiltAngle", "PixelSpacing", "[ZValue", "[Image", "[FrameSet", "ImageFile"]),
        max_size=8,
    ),
    values=st.lists(
        st.sampled_from(["1", "-60.5", "nan", "1e999", "0", "a.tif", "", "1" * 5000]), min_size=8
    ),
)
def test_known_keys_with_odd_values_are_read_or_refused_with_the_name(keys, values):
    lines = [
        f"{key} = {value}" + ("]" if key.startswith("[") else "")
        for key, value in zip(keys, values, strict=False)
    ]
    said = look_at_everything("\n".join(lines))
    assert said is None or "a.st.mdoc" in said


def test_images_of_their_own_are_named_without_their_folders():
    windows = parse(
        section(0, 1, SubFramePath="X:\\Data\\Grid 1\\t_001.tif") + section(1, 2, ImageFile="b/t.mrc")
    )
    assert windows.image_names() == ["t_001.tif", "t.mrc"]
    assert parse("[Image = t_1.tif]\nTiltAngle = 3\n").image_names() == ["t_1.tif"]
    assert parse(HEAD + section(0, 1)).image_names() is None


def test_a_value_may_go_on_in_the_next_line():
    mdoc = parse(section(0, 1) + "Comment = one\ntwo\n")
    assert mdoc.stack_tilts_deg().tolist() == [1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "found nothing"),
        ("hello world\n", "line 1: found 'hello world'"),
        ("[ZValue = 0\nTiltAngle = 1", "line 1: found '[ZValue = 0'"),
        (section(0, "x"), "found TiltAngle = 'x'; expected a number"),
        (section(0, "nan"), "found TiltAngle = 'nan'; expected a number"),
        (section(0, 1000), "found TiltAngle = 1000; expected degrees"),
        (section(0, 1) + "[ZValue = 1]\nDose = 2\n", "line 4: found no TiltAngle for [ZValue = 1]"),
        (section(0, 1) + section(2, 1), "not numbered from 0 to 1"),
        (section(0, 1) + section(0, 1), "not numbered from 0 to 1"),
        (section("zero", 1), "not numbered from 0 to 0"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text, said):
    assert said in message(text)


def test_there_is_an_end_to_what_is_read():
    assert "found 400001 lines" in message("a = 1\n" * 400_001)


def test_a_pixel_size_that_is_no_number():
    assert "PixelSpacing = 'wide'" in message("PixelSpacing = wide", lambda mdoc: mdoc.pixel_size_nm)


def test_an_image_is_no_mdoc(tmp_path):
    path = tmp_path / "a.mdoc"
    path.write_bytes(bytes(range(256)) * 10)
    with pytest.raises(ReadError, match=r"a\.mdoc: found binary data; expected an \.mdoc file"):
        read_mdoc(path)


def test_the_degree_sign_of_windows_is_no_reason_to_refuse(tmp_path):
    path = tmp_path / "a.mdoc"
    path.write_bytes(b"[T = 60\xb0 at 5 \xb5m]\n" + section(0, 5).encode())
    assert read_mdoc(path).tilts_deg() == [5]
