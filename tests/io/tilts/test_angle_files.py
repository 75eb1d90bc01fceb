import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.errors import ReadError
from chemtomo.io.tilts.angle_files import format_angles, read_angles


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


def test_there_is_an_end_to_what_is_read(tmp_path):
    path = tmp_path / "a.tlt"
    path.write_text("1\n" * (1 << 16))
    assert len(read_angles(path)) == 1 << 16
    path.write_text("1\n" * 65537)
    with pytest.raises(ReadError, match="found 65537 lines"):
        read_angles(path)


@pytest.mark.parametrize(
    "text",
    [
        "-60\n0\n60\n",
        "tilt\n-60\n0\n60\n",
        "anything\n-60\n0\n60\n",
        "file;Tilt angle (deg);dose\na;-60;1\nb;0;1\nc;60;1\n",
        "z,alpha,beta\n0,-60,1\n1,0,1\n2,60,1\n",
        "tilt axis angle\ttilt\n5\t-60\n5\t0\n5\t60\n",
        '# recorded\n"name, of file","angle"\n"a, b",-60\n"c",0\n"d",60\n',
    ],
)
def test_a_table_has_one_column_of_tilts(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    assert read_angles(path).tolist() == [-60, 0, 60]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,-60\n2,0\n", "line 1: found 2 columns without headings"),
        ("a,b\n1,2\n", "line 1: found the headings 'a', 'b'"),
        ("tilt,angle\n1,2\n", "line 1: found the headings 'tilt', 'angle'"),
        ("name,tilt\na,1\nb\n", "line 3: found 1 columns; expected the tilt in column 2"),
        ("name,tilt\na,one\n", "line 2: found 'one'; expected one tilt in degrees"),
        ("tilt\n1e9\n", "line 2: found '1e9'; expected one tilt in degrees"),
    ],
)
def test_what_is_wrong_with_a_table_is_located(tmp_path, text, said):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ReadError) as caught:
        read_angles(path)
    assert f"{path}, {said}" in str(caught.value)
