"""Bytes of MRC files with every combination of IMOD's flag and the range in the header."""

import mrcfile
import numpy as np
import pytest

from chemtomo.io import read
from chemtomo.io.formats.mrc import read as mrc

STAMP = 1146047817
UNKNOWN = (0.0, 0.0)


def write(path, stored, flags, header):
    """Write bytes as they are; `flags` is None for a program other than IMOD."""
    stored = np.asarray(stored, np.uint8).reshape(1, 2, -1)
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(stored.view(np.int8))
        if flags is not None:
            extra = bytearray(bytes(file.header.extra2))
            extra[40:48] = np.array([STAMP, flags], "<i4").tobytes()
            file.header.extra2 = np.void(bytes(extra))
        file.header.dmin, file.header.dmax = header
    path.with_suffix(".rawtlt").write_text("0\n")
    return path


@pytest.mark.parametrize(
    ("stored", "flags", "header", "values", "noted"),
    [
        # Other programs: MRC2014, unless the header cannot be of bytes with a sign.
        ([0, 5, 127, 200], None, (0, 200), [0, 5, 127, 200], True),
        ([0, 5, 127, 200], None, (-56, 127), [0, 5, 127, -56], False),
        ([0, 5, 127, 200], None, UNKNOWN, [0, 5, 127, -56], False),
        ([0, 5, 127, 100], None, (0, 127), [0, 5, 127, 100], False),
        ([0, 5, 127, 200], None, (0, float("nan")), [0, 5, 127, -56], False),
        # IMOD without a sign.
        ([0, 5, 127, 200], 0, (0, 200), [0, 5, 127, 200], False),
        ([0, 5, 127, 200], 0, UNKNOWN, [0, 5, 127, 200], False),
        ([0, 5, 127, 200], 0, (-56, 127), [0, 5, 127, -56], True),
        # IMOD with a sign: a mask of 0 and 1 is stored as -128 and -127.
        ([128, 129, 128, 129], 1, (0, 1), [0, 1, 0, 1], True),
        ([128, 129, 128, 129], 1, (-128, -127), [0, 1, 0, 1], True),
        ([128, 129, 128, 129], 1, UNKNOWN, [0, 1, 0, 1], True),
        ([128, 0, 127, 255], 1, (0, 255), [0, 128, 255, 127], True),
        # Another program wrote values and range, and left the flag.
        ([0, 1, 0, 1], 1, (0, 1), [0, 1, 0, 1], False),
        ([10, 20, 127, 200], 1, (10, 200), [10, 20, 127, 200], True),
    ],
)
def test_bytes_are_what_flag_and_header_say(tmp_path, stored, flags, header, values, noted):
    series = read(write(tmp_path / "a.mrc", stored, flags, header))["a"]
    assert series.data.ravel().tolist() == values
    assert any("bytes" in note for note in series.notes) == noted


def test_large_files_of_shifted_bytes_are_read_when_they_are_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(mrc, "_MAP_FROM_BYTES", 2)
    series = read(write(tmp_path / "a.mrc", [128, 129, 128, 129], 1, UNKNOWN))["a"]
    assert series.is_lazy
    assert series.values().ravel().tolist() == [0, 1, 0, 1]
