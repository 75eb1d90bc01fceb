"""Files together: sets of images, folders, series of files with an mdoc, frames."""

import mrcfile
import numpy as np
import pytest
import tifffile
from scipy import ndimage

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import NoTiltSeriesError, ReadError
from chemtomo.io import contents, read, write_dataset
from chemtomo.io.assembly import tilt_series as assemble
from chemtomo.io.assembly.dose_frames import average_frames, frame_runs, mean_of_registered
from chemtomo.io.formats import registry as formats
from chemtomo.io.formats.file_format import FileFormat
from chemtomo.io.found import Found

TILTS = (-60.0, -20.0, 0.0, 30.0)


def images(count=4, seed=0):
    return np.random.default_rng(seed).integers(0, 5000, (count, 6, 7)).astype(np.int16) - 1000


def write_mrc(path, data, pixel_nm=1.5):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data)
        if data.ndim == 3:
            file.set_image_stack()
        file.voxel_size = pixel_nm * 10
    return path


def write_series(folder, name, tilts, shape=(3, 4), **options):
    rng = np.random.default_rng(len(name))
    series = TiltSeries(name, rng.random((len(tilts), *shape)).astype(np.float32), tilts, **options)
    return write_dataset(Dataset((series,)), folder)[0]


def message(paths, **options):
    with pytest.raises(ReadError) as caught:
        read(paths, **options)
    return str(caught.value)


# Sets of images, one file per tilt


@pytest.fixture
def image_set(tmp_path):
    """Images whose file names are in the order of the acquisition, not of the tilts."""
    data = images()
    paths = []
    for number, (image, tilt) in enumerate(zip(data, (0.0, 30.0, -20.0, -60.0), strict=True)):
        path = write_mrc(tmp_path / f"run_{number}.mrc", image)
        path.with_name(f"{path.name}.mdoc").write_text(f"[ZValue = 0]\nTiltAngle = {tilt}\n")
        paths.append(path)
    return paths, data[[3, 2, 0, 1]]


def test_images_are_sorted_by_their_tilt_and_named_by_what_their_names_share(image_set):
    paths, expected = image_set
    for given_paths in (paths, paths[::-1], paths[0].parent):
        (series,) = read(given_paths)
        assert series.name == "run"
        assert series.tilts_deg.tolist() == list(TILTS)
        assert np.array_equal(series.data, expected)
        assert series.data.dtype == np.int16
        assert series.pixel_size_nm == 1.5
        assert "4 images, one per tilt" in series.notes


def test_given_tilts_are_in_the_order_of_the_file_names(image_set):
    paths, expected = image_set
    (series,) = read(paths[::-1], tilts=[5, 4, 3, 2])
    assert series.tilts_deg.tolist() == [2, 3, 4, 5]
    assert np.array_equal(series.data, expected[[0, 1, 3, 2]])
    assert "found 3 tilts in '0:1:3'; expected 4" in message(paths, tilts="0:1:3")


def test_large_sets_are_read_when_they_are_needed(image_set, monkeypatch):
    monkeypatch.setattr(assemble, "_LAZY_FROM_BYTES", 10)
    paths, expected = image_set
    (series,) = read(paths)
    assert series.is_lazy
    assert np.array_equal(series.values(), expected)


def test_images_without_tilts_ask_for_them(tmp_path):
    for number, image in enumerate(images(3)):
        tifffile.imwrite(tmp_path / f"i{number}.tif", image)
    said = message(tmp_path)
    assert "i0.tif: found no tilt in 3 of 3 images of 'i'" in said
    assert "--tilts" in said
    assert read(tmp_path, tilts="0:2:3")["i"].tilts_deg.tolist() == [0, 2, 4]


def test_a_single_image_is_a_series_of_one(tmp_path):
    tifffile.imwrite(tmp_path / "a_1.tif", images(1)[0])
    (series,) = read(tmp_path / "a_1.tif")
    assert series.name == "a_1"
    assert series.shape == (1, 6, 7)
    assert "a single image without a tilt; 0 degrees are assumed" in series.notes


def test_images_of_a_set_have_one_size_and_one_pixel_size(image_set):
    paths, _ = image_set
    write_mrc(paths[2], images(1)[0, :5])
    said = message(paths)
    assert f"{paths[2]}: found an image of 5 x 7 pixels; expected 6 x 7, as in run_0.mrc" in said
    write_mrc(paths[2], images(1)[0], pixel_nm=3)
    assert f"{paths[2]}: found pixels of 3 nm; expected 1.5 nm, as in run_0.mrc" in message(paths)


def test_signals_in_the_same_files_become_one_series_each(tmp_path, monkeypatch):
    """As a microscope writes them: all signals of a tilt in a file, which says tilt and names."""
    data = {"HAADF": images(4, 1), "Fe": images(4, 2)}

    def find(path):
        index = int(path.stem)
        return [
            Found(name, stack[index], "image", tilts_deg=-TILTS[index], pixel_size_nm=2.0)
            for name, stack in data.items()
        ]

    fake = FileFormat("fake", (".fake",), lambda head: False, find)
    monkeypatch.setattr(formats, "FORMATS", (fake,))
    for index in range(4):
        (tmp_path / f"{index}.fake").touch()
    dataset = read(tmp_path)
    assert dataset.names == ("HAADF", "Fe")
    for series in dataset:
        assert series.tilts_deg.tolist() == [-tilt for tilt in TILTS[::-1]]
        assert np.array_equal(series.data, data[series.name][::-1])


def test_an_overview_of_the_same_name_in_every_file_is_a_set_of_its_own(tmp_path, monkeypatch):
    small, large = images(4, 1), np.zeros((4, 12, 14))

    def find(path):
        index = int(path.stem)
        return [
            Found("HAADF", stack[index], "image", tilts_deg=TILTS[index], pixel_size_nm=2.0)
            for stack in (small, large)
        ]

    fake = FileFormat("fake", (".fake",), lambda head: False, find)
    monkeypatch.setattr(formats, "FORMATS", (fake,))
    for index in range(4):
        (tmp_path / f"{index}.fake").touch()
    dataset = read(tmp_path)
    assert dataset.names == ("HAADF (1)", "HAADF (2)")
    assert [one.shape for one in dataset] == [(4, 6, 7), (4, 12, 14)]
    assert read(tmp_path / "0.fake").names == ("HAADF (1)", "HAADF (2)")


@pytest.mark.parametrize(
    ("stems", "names"),
    [
        (("HAADF_1", "HAADF_2", "Al_1", "Al_2"), {"HAADF", "Al"}),
        (("s_001_-60.0", "s_002_+10.5", "s_003_20deg"), {"s"}),
        (("t1_HAADF", "t2_HAADF", "t3_HAADF"), {"t_HAADF"}),
        (("1", "2", "3"), {"folder"}),
        (("one", "two"), {"one", "two"}),
    ],
)
def test_names_of_sets(tmp_path, stems, names):
    folder = tmp_path / "folder"
    folder.mkdir()
    for number, stem in enumerate(stems):
        write_mrc(folder / f"{stem}.mrc", images(1)[0])
        (folder / f"{stem}.mrc.mdoc").write_text(f"[ZValue = 0]\nTiltAngle = {number}\n")
    assert set(read(folder).names) == names


# Stacks together


def test_other_tilts_and_binning_stay_with_their_series(tmp_path):
    paths = [
        write_series(tmp_path, "HAADF", [-60, 0, 60], (6, 8), pixel_size_nm=1.0),
        write_series(tmp_path, "Al", [-50, 50], (3, 4), pixel_size_nm=2.0),
    ]
    dataset = read(paths)
    assert [(one.shape, one.tilts_deg.tolist(), one.pixel_size_nm) for one in dataset] == [
        ((3, 6, 8), [-60, 0, 60], 1.0),
        ((2, 3, 4), [-50, 50], 2.0),
    ]


def test_a_stack_without_tilts_borrows_those_of_the_others_when_these_agree(tmp_path):
    paths = [write_series(tmp_path, name, [-60, 0, 60]) for name in ("HAADF", "Al", "Fe")]
    paths[1].with_suffix(".rawtlt").unlink()
    series = read(paths)["Al"]
    assert series.tilts_deg.tolist() == [-60, 0, 60]
    assert "no tilts of its own; those of HAADF.mrc are taken" in series.notes
    paths[2].with_suffix(".rawtlt").write_text("1\n2\n3\n")
    assert "Al.mrc: found no tilts for 3 projections" in message(paths)


def test_a_file_that_is_given_twice_is_read_once(tmp_path):
    path = write_series(tmp_path, "Al", [0, 1])
    assert read([path, tmp_path / "." / "Al.mrc", tmp_path]).names == ("Al",)


def test_a_written_series_in_a_described_file_keeps_what_it_has(tmp_path, monkeypatch):
    given = TiltSeries("Al", images(), TILTS, 2.0, "intensity", axis_position_px=2.5, gains=[1, 2, 3, 4])
    fake = FileFormat("f", (".fake",), lambda head: False, lambda path: [Found.of_series(given)])
    monkeypatch.setattr(formats, "FORMATS", (fake,))
    (tmp_path / "a.fake").touch()
    (series,) = read(tmp_path / "a.fake")
    assert series.gains.tolist() == [1, 2, 3, 4]
    assert series.axis_position_px == 2.5
    assert series.notes == ()


def test_negative_counts_are_refused(tmp_path, monkeypatch):
    found = Found("Al", images(), "stack", tilts_deg=np.array(TILTS), signal="counts")
    fake = FileFormat("f", (".fake",), lambda head: False, lambda path: [found])
    monkeypatch.setattr(formats, "FORMATS", (fake,))
    (tmp_path / "a.fake").touch()
    assert "a.fake: found -" in message(tmp_path / "a.fake")


def test_whatever_a_library_raises_names_the_file(tmp_path, monkeypatch):
    def find(path):
        raise RecursionError("deep\ninside")

    fake = FileFormat("fake", (".fake",), lambda head: False, find)
    monkeypatch.setattr(formats, "FORMATS", (fake,))
    path = tmp_path / "a.fake"
    path.touch()
    assert message(path).startswith(f"{path}: cannot be read as fake (RecursionError: deep inside)")


# Folders


def test_a_folder_gives_what_is_in_it_and_says_so(tmp_path):
    write_series(tmp_path, "Al10", [0, 1])
    write_series(tmp_path, "Al9", [0, 1])
    write_mrc(tmp_path / "volume.mrc", images(5))
    (tmp_path / "notes.txt").write_text("a note")
    (tmp_path / ".hidden.mrc").write_text("no image")
    tifffile.imwrite(tmp_path / "screen.tif", np.zeros((5, 5, 3), np.uint8), photometric="rgb")
    found = contents(tmp_path)
    assert [one.name for one in found.series] == ["Al9", "Al10"]
    assert len(found.left_out) == 2
    (note,) = [one for one in found.series[0].notes if "of the folder" in one]
    assert "Al9.mrc" in note
    assert "left out: screen.tif (found an image in colours" in note
    assert "volume.mrc (no tilts)" in note


def test_a_broken_image_in_a_folder_is_an_error(tmp_path):
    write_series(tmp_path, "Al", [0, 1])
    (tmp_path / "Fe.mrc").write_bytes(b"no image" * 500)
    assert f"{tmp_path / 'Fe.mrc'}: found text" in message(tmp_path)


def test_a_folder_without_anything(tmp_path):
    (tmp_path / "a.txt").write_text("nothing")
    assert f"{tmp_path}: found no file in the folder that can be read" in message(tmp_path)
    write_mrc(tmp_path / "volume.mrc", images(5))
    assert "volume.mrc: found no tilts for 5 projections" in message(tmp_path)


# Series of SerialEM


def series_mdoc(folder, heading="[ZValue = {n}]", key="ImageFile", prefix="X:\\data\\"):
    data = images()
    text = "PixelSpacing = 20\nImageSeries = 1\n"
    for number, (image, tilt) in enumerate(zip(data, (0.0, 30.0, -20.0, -60.0), strict=True)):
        write_mrc(folder / f"t{number}.mrc", image, pixel_nm=2)
        text += heading.format(n=number) + f"\nTiltAngle = {tilt}\n"
        if key:
            text += f"{key} = {prefix}t{number}.mrc\n"
    path = folder / "series.mdoc"
    path.write_text(text)
    return path, data[[3, 2, 0, 1]]


@pytest.mark.parametrize(
    ("heading", "key"),
    [("[ZValue = {n}]", "ImageFile"), ("[Image = t{n}.mrc]", ""), ("[ZValue = {n}]", "SubFramePath")],
)
def test_an_mdoc_stands_for_the_images_that_it_names(tmp_path, heading, key):
    path, expected = series_mdoc(tmp_path, heading, key)
    for given_path in (path, tmp_path):
        (series,) = read(given_path)
        assert series.tilts_deg.tolist() == list(TILTS)
        assert np.array_equal(series.data, expected)
        assert series.pixel_size_nm == 2


def test_an_mdoc_stands_for_its_stack(tmp_path):
    path = write_mrc(tmp_path / "a.st", images())
    for name in ("a.st.mdoc", "a.mdoc"):
        mdoc = tmp_path / name
        mdoc.write_text(
            "ImageFile = a.st\n" + "".join(f"[ZValue = {n}]\nTiltAngle = {n}\n" for n in range(4))
        )
        (series,) = read(mdoc)
        assert series.source == str(path)
        assert series.tilts_deg.tolist() == [0, 1, 2, 3]
        assert read(tmp_path).names == ("a",)
        mdoc.unlink()


def test_an_mdoc_without_its_images_names_what_is_missing(tmp_path):
    path, _ = series_mdoc(tmp_path)
    (tmp_path / "t2.mrc").unlink()
    with pytest.raises(NoTiltSeriesError) as caught:
        read(path)
    assert f"{path}, line 9: found no file t2.mrc beside it" in str(caught.value)
    path.write_text("[ZValue = 0]\nTiltAngle = 1\n")
    assert "found neither series beside it nor an ImageFile for every section" in message(path)


def test_an_mdoc_does_not_lead_out_of_its_folder(tmp_path):
    folder = tmp_path / "inside"
    folder.mkdir()
    write_mrc(tmp_path / "t.mrc", images(1)[0])
    for name in ("../t.mrc", "..\\t.mrc", "..", ""):
        path = folder / "series.mdoc"
        path.write_text(f"[ZValue = 0]\nTiltAngle = 1\nImageFile = {name}\n")
        with pytest.raises(ReadError, match="series"):
            read(path)


# Frames


def drifting_frames(count=5, size=48, seed=1):
    """Frames of a smooth image that drifts by fractions of a pixel, and what is seen in the middle."""
    rng = np.random.default_rng(seed)
    wide = ndimage.gaussian_filter(rng.random((size + 20, size + 20)), 2) * 1000
    drift = np.cumsum(rng.uniform(-1.2, 1.2, (count, 2)), axis=0)
    drift -= drift[count // 2]
    frames = np.stack([ndimage.shift(wide, shift, order=3)[10:-10, 10:-10] for shift in drift])
    return frames.astype(np.float32), wide[10:-10, 10:-10], drift


def test_frames_are_registered_before_their_mean_is_taken():
    frames, truth, _ = drifting_frames()
    mean = mean_of_registered(frames)
    inside = np.s_[6:-6, 6:-6]
    error = np.sqrt(np.mean((mean - truth)[inside] ** 2))
    assert mean.dtype == np.float32
    assert error < 0.35 * np.sqrt(np.mean((frames.mean(axis=0) - truth)[inside] ** 2))
    assert error < 0.05 * truth.std()


def test_frames_that_do_not_drift_are_averaged_exactly():
    frames = np.repeat(drifting_frames(1)[0], 4, axis=0)
    np.testing.assert_allclose(mean_of_registered(frames), frames[0], rtol=1e-6)
    assert np.array_equal(mean_of_registered(np.full((3, 8, 8), 7)), np.full((8, 8), 7))


def test_neighbours_of_one_tilt_are_frames_unless_a_tilt_has_only_one():
    assert frame_runs(np.array([0, 0.01, 5, 5, 5, 0, 0])) == [range(2), range(2, 5), range(5, 7)]
    assert frame_runs(np.array([-2.0, 0.0, 0.0, 2.0])) is None


def test_a_stack_of_frames_becomes_one_projection_a_tilt(tmp_path):
    rng = np.random.default_rng(0)
    scenes = [ndimage.gaussian_filter(rng.random((40, 40)), 1.5) * 1000 for _ in TILTS]
    frames = np.stack([scene for scene in scenes for _ in range(3)]).astype(np.float32)
    path = write_mrc(tmp_path / "a.mrc", frames)
    tilts = np.repeat(TILTS, 3)
    path.with_name("a.mrc.mdoc").write_text(
        "".join(f"[ZValue = {n}]\nTiltAngle = {tilt}\n" for n, tilt in enumerate(tilts))
    )
    (series,) = read(path)
    assert series.tilts_deg.tolist() == list(TILTS)
    np.testing.assert_allclose(series.data, np.stack(scenes), rtol=1e-3)
    assert any("mean of its registered frames (12 in all)" in note for note in series.notes)
    assert series.kind == "intensity"


def test_lazy_frames_stay_lazy(monkeypatch):
    import dask.array

    frames = np.repeat(drifting_frames(2)[0], 2, axis=0)
    lazy = average_frames(dask.array.from_array(frames, chunks=(1, 48, 48)), [range(2), range(2, 4)])
    assert hasattr(lazy, "dask")
    np.testing.assert_allclose(np.asarray(lazy), average_frames(frames, [range(2), range(2, 4)]))


def test_files_of_frames_one_a_tilt(tmp_path):
    for number, tilt in enumerate((10, -10)):
        path = write_mrc(tmp_path / f"f_{number}.mrc", np.repeat(images(1, number), 3, axis=0))
        path.with_name(f"{path.name}.mdoc").write_text(f"[FrameSet = 0]\nTiltAngle = {tilt}\n")
    (series,) = read(tmp_path)
    assert series.name == "f"
    assert series.tilts_deg.tolist() == [-10, 10]
    np.testing.assert_allclose(series.data, np.concatenate([images(1, 1), images(1, 0)]), rtol=1e-6)
