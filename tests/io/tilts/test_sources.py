import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import ReadError
from chemtomo.io import read, write_dataset
from chemtomo.io.tilts.sources import given_tilts, parse_tilts, sidecar_files

MDOC = "".join(f"[ZValue = {number}]\nTiltAngle = {tilt}\n" for number, tilt in enumerate((-1, 0, 1)))


@pytest.fixture
def stack(tmp_path):
    """A stack of three projections without tilts."""
    series = TiltSeries("a", np.arange(60, dtype=np.float32).reshape(3, 4, 5), [0, 1, 2], 1.5)
    (path,) = write_dataset(Dataset((series,)), tmp_path)
    path.with_suffix(".rawtlt").unlink()
    return path


def write(stack, ending, text):
    path = stack.with_name(stack.stem + ending)
    path.write_text(text)
    return path


def tilts(path, **options):
    return read(path, **options)["a"].tilts_deg.tolist()


def test_the_order_of_precedence(stack):
    """From the last to the first: each new file is taken in place of those before."""
    for ending, text, expected in (
        (".csv", "1\n2\n3\n", [1, 2, 3]),
        (".tlt", "4\n5\n6\n", [4, 5, 6]),
        (".rawtlt", "7\n8\n9\n", [7, 8, 9]),
        (".mdoc", MDOC.replace("= -1", "= -5"), [-5, 0, 1]),
        (".mrc.mdoc", MDOC, [-1, 0, 1]),
    ):
        write(stack, ending, text)
        assert tilts(stack) == expected
    assert tilts(stack, tilts="10:1:3") == [10, 11, 12]
    notes = read(stack)["a"].notes
    assert any("tilts from a.mrc.mdoc; those in a.rawtlt differ by up to 8 degrees" in one for one in notes)
    assert read(stack, tilts=[1, 2, 3])["a"].tilts_deg.tolist() == [1, 2, 3]


def test_tilts_that_agree_need_no_note(stack):
    write(stack, ".rawtlt", "-1\n0\n1\n")
    write(stack, ".tlt", "-1.009\n0\n1\n")
    assert read(stack)["a"].notes == ()


def test_tilts_of_another_number_are_passed_over_with_a_note(stack):
    """As in a stack from which views were excluded."""
    write(stack, ".rawtlt", "1\n2\n3\n4\n")
    write(stack, ".tlt", "1\n2\n4\n")
    series = read(stack)["a"]
    assert series.tilts_deg.tolist() == [1, 2, 4]
    assert "a.rawtlt has 4 tilts for 3 projections and is not used" in series.notes


def test_a_table_of_something_else_is_no_obstacle_but_for_the_only_one(stack):
    write(stack, ".csv", "distance,grey\n1,2\n3,4\n")
    with pytest.raises(ReadError, match=r"a\.csv, line 1: found the headings 'distance', 'grey'"):
        read(stack)
    write(stack, ".rawtlt", "1\n2\n3\n")
    assert tilts(stack) == [1, 2, 3]


def test_endings_may_be_in_upper_case(stack):
    write(stack, ".RAWTLT", "1\n2\n3\n")
    assert [one.name.lower() for one in sidecar_files(stack)] == ["a.rawtlt"]
    assert tilts(stack) == [1, 2, 3]


def test_a_broken_file_of_tilts_is_named(stack):
    write(stack, ".rawtlt", "1\n2\nthree\n")
    with pytest.raises(ReadError, match=r"a\.rawtlt, line 3: found 'three'"):
        read(stack)


@given(
    start=st.integers(-18000, 18000).map(lambda hundredths: hundredths / 100),
    step=st.sampled_from([0.5, -0.5, 1, -2.0, 3, 0, 0.25]),
    count=st.integers(1, 60),
)
def test_a_range_is_start_step_and_count(start, step, count):
    found = parse_tilts(f"{start}:{step}:{count}").tilts_deg
    assert len(found) == count
    np.testing.assert_allclose(found, start + step * np.arange(count))


@given(st.text(st.sampled_from("0123456789:.-+e nai"), max_size=12))
def test_any_other_text_is_refused_or_a_list_of_degrees(text):
    found, said = None, ""
    try:
        found = parse_tilts(text).tilts_deg
    except ReadError as error:
        said = str(error)
    assert repr(text) in said if found is None else np.abs(found).max() <= 360


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-60:2", "expected a file of tilts, or START:STEP:COUNT"),
        ("-60:2:0", "found a count of 0"),
        ("-60:2:99999999999", "found a count of 99999999999"),
        ("-60:20:61", "found -60 to 1140"),
        ("nothing.tlt", "found no such file"),
        ("", "found no such file"),
    ],
)
def test_what_is_wrong_with_given_tilts(text, said):
    with pytest.raises(ReadError) as caught:
        parse_tilts(text)
    assert said in str(caught.value)


def test_given_tilts_may_be_in_any_file_of_tilts(stack):
    for name, text in (("t.txt", "1\n2\n3"), ("t.mdoc", MDOC), ("t.csv", "1\n2\n3")):
        path = stack.with_name(name)
        path.write_text(text)
        assert len(tilts(stack, tilts=path)) == 3
    with pytest.raises(ReadError, match="expected numbers in degrees"):
        given_tilts(["a"])


def test_the_number_of_given_tilts_is_that_of_the_projections(stack):
    with pytest.raises(ReadError) as caught:
        read(stack, tilts="-60:2:4")
    assert f"{stack}: found 4 tilts in '-60:2:4'; expected 3" in str(caught.value)
