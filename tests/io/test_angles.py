import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.errors import ReadError
from chemtomo.io.angles import format_angles, read_angles


@given(st.lists(st.floats(-360, 360), max_size=20))
def test_angles_are_read_back_exactly(tmp_path_factory, angles):
    path = tmp_path_factory.mktemp("angles") / "a.rawtlt"
    path.write_text(format_angles(angles))
    assert read_angles(path).tolist() == angles


@pytest.mark.parametrize("text", ["-60\n 0.0\n\n6e1\n", "-60\r\n0\r\n60", "\ufeff-60\n0\n60\n\n\n"])
def test_the_ways_in_which_programs_write_angles(tmp_path, text):
    path = tmp_path / "a.tlt"
    path.write_bytes(text.encode())
    assert read_angles(path).tolist() == [-60, 0, 60]


@pytest.mark.parametrize("word", ["tilt", "nan", "inf", "1 2", "1,5"])
def test_what_is_no_angle_is_located(tmp_path, word):
    path = tmp_path / "a.tlt"
    path.write_text(f"-60\n\n{word}\n")
    with pytest.raises(ReadError) as caught:
        read_angles(path)
    assert f"{path}, line 3: found {word!r}; expected one tilt in degrees" in str(caught.value)


def test_binary_data_is_no_angle_file(tmp_path):
    path = tmp_path / "a.tlt"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(ReadError, match="found binary data; expected text"):
        read_angles(path)
