"""Which stack an .mdoc describes, whatever the two are called; and montages."""

import mrcfile
import numpy as np
import pytest

from chemtomo.errors import ReadError
from chemtomo.io import read

DATA = np.arange(60, dtype=np.float32).reshape(3, 4, 5)


def write_mrc(path, data=DATA):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data)
        file.set_image_stack()
        file.voxel_size = 20
    return path


def mdoc(image_file, tilts=(-10, 0, 10), places=None, more=""):
    text = f"PixelSpacing = 20\nImageFile = {image_file}\nMontage = 1\n"
    for number, tilt in enumerate(tilts):
        text += f"[ZValue = {number}]\nTiltAngle = {tilt}\n{more}"
        if places is not None:
            text += f"PieceCoordinates = {places[number]}\n"
    return text


def test_an_mdoc_of_another_name_gives_its_tilts_to_the_stack_that_it_names(tmp_path):
    path = write_mrc(tmp_path / "stack.st")
    other = tmp_path / "notes.mdoc"
    other.write_text(mdoc("X:\\data\\stack.st"))
    for given in (other, tmp_path, path):
        (series,) = read(given)
        assert series.source == str(path)
        assert series.tilts_deg.tolist() == [-10, 0, 10]


def test_the_mdoc_of_the_same_name_comes_before_one_of_another_name(tmp_path):
    write_mrc(tmp_path / "b.st")
    for name, tilts in (("a.mdoc", (1, 2, 3)), ("b.st.mdoc", (4, 5, 6)), ("c.mdoc", (7, 8, 9))):
        (tmp_path / name).write_text(mdoc("b.st", tilts))
    assert read(tmp_path).series[0].tilts_deg.tolist() == [4, 5, 6]


@pytest.mark.parametrize("name", ["renamed.st.mdoc", "renamed.mdoc"])
@pytest.mark.parametrize("more", ["", "SubFramePath = X:\\frames\\f.tif\n"])
def test_a_stack_that_was_renamed_with_its_mdoc(tmp_path, name, more):
    path = write_mrc(tmp_path / "renamed.st")
    (tmp_path / name).write_text(mdoc("recorded.st", more=more))
    for given in (tmp_path / name, tmp_path, path):
        (series,) = read(given)
        assert series.source == str(path)
        assert series.tilts_deg.tolist() == [-10, 0, 10]


def test_a_montage_is_no_series_of_frames(tmp_path):
    data = np.concatenate([DATA, DATA[:1]])
    path = write_mrc(tmp_path / "m.st", data)
    beside = tmp_path / "m.st.mdoc"
    beside.write_text(mdoc("m.st", (-10, -10, 10, 10), ("0 0 0", "900 0 0", "0 0 1", "900 0 1")))
    for given in (path, beside, tmp_path):
        with pytest.raises(ReadError, match=r"m\.st\.mdoc: found a montage, 2 tiles at a tilt"):
            read(given)


@pytest.mark.parametrize("places", [None, ("0 0 0", "0 0 1", "0 0 2", "0 0 3"), ("0 0 0",) * 4])
def test_one_place_or_none_is_no_montage(tmp_path, places):
    """`Montage = 1` alone proves nothing, and frames of a tilt are all at one place."""
    path = write_mrc(tmp_path / "m.st", np.concatenate([DATA, DATA[:1]]))
    (tmp_path / "m.st.mdoc").write_text(mdoc("m.st", (-10, -10, 10, 10), places))
    (series,) = read(path)
    assert series.tilts_deg.tolist() == [-10, 10]
    (tmp_path / "m.st.mdoc").write_text(mdoc("m.st", (-20, -10, 0, 10), places))
    assert read(path).series[0].shape[0] == 4


def test_the_images_of_a_montage_may_be_files_of_their_own(tmp_path):
    text = ""
    for number in range(4):
        write_mrc(tmp_path / f"t{number}.mrc", DATA[:1])
        text += f"[ZValue = {number}]\nTiltAngle = {number // 2}\nImageFile = t{number}.mrc\n"
        text += f"PieceCoordinates = {900 * (number % 2)} 0 {number // 2}\n"
    (tmp_path / "series.mdoc").write_text(text)
    with pytest.raises(ReadError, match="found a montage"):
        read(tmp_path / "series.mdoc")


@pytest.mark.parametrize("step", [0, 900])
def test_piece_coordinates_of_the_extended_header(tmp_path, step):
    path = write_mrc(tmp_path / "m.st", np.concatenate([DATA, DATA[:1]]))
    records = np.zeros((4, 4), "<i2")
    records[:, 0] = (-1000, -1000, 1000, 1000)
    records[:, 1] = (0, step, 0, step)
    with mrcfile.open(path, "r+") as file:
        file.set_extended_header(np.frombuffer(records.tobytes(), "V1"))
        file.header.exttyp = b"SERI"
        extra = bytearray(file.header.extra2.tobytes())
        extra[16:20] = np.array([8, 3], "<i2").tobytes()
        file.header.extra2 = np.frombuffer(bytes(extra), file.header.extra2.dtype)
    if step:
        with pytest.raises(ReadError, match=r"m\.st: found a montage, 2 tiles at a tilt"):
            read(path)
    else:
        assert read(path).series[0].tilts_deg.tolist() == [-10, -10, 10, 10]
