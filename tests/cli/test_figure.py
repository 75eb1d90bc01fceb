import numpy as np
import pytest
from PIL import Image

from chemtomo.cli.figure import draw, mix_colours
from chemtomo.data import Volume
from chemtomo.errors import WriteError
from chemtomo.samples import phantom_volume

RGB = np.eye(3, dtype=np.float32)


def test_colours_add_up_and_do_not_overflow():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 3, 8, 9)).astype(np.float32) / 2
    both = mix_colours(one + other, RGB)
    assert both == pytest.approx(mix_colours(one, RGB) + mix_colours(other, RGB), abs=1e-6)
    assert mix_colours(np.ones((2, 1, 1), np.float32), np.ones((2, 3), np.float32)).max() == 1


def test_a_picture_is_written(tmp_path):
    path = draw(phantom_volume((8, 24)), tmp_path / "a.png", title="A needle", caption="two\nlines")
    with Image.open(path) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[1] > 1000
    assert np.unique(pixels.reshape(-1, 3), axis=0).shape[0] > 1000
    assert path.stat().st_size < 300_000


def test_a_maximum_projection_shows_what_no_middle_slice_does(tmp_path):
    """A bright voxel away from the middle."""
    data = np.zeros((1, 9, 9, 9), np.float32)
    data[0, 4, 4, 4] = 0.5
    pictures = []
    for name in ("without", "with"):
        with Image.open(draw(Volume(data, ("Al",)), tmp_path / f"{name}.png")) as image:
            pictures.append(np.asarray(image.convert("RGB"), dtype=int))
        data[0, 2, 2, 2] = 0.5
    changed = np.flatnonzero(np.abs(pictures[1] - pictures[0]).sum(axis=(0, 2)))
    assert changed.size
    assert changed.max() < 0.6 * pictures[0].shape[1]  # the projections are on the left


def test_one_empty_channel_can_be_drawn(tmp_path):
    draw(Volume(np.zeros((1, 4, 5, 6), np.float32), ("Al",)), tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(WriteError, match="no folder"):
        draw(Volume(np.zeros((1, 4, 5, 6), np.float32), ("Al",)), tmp_path / "no" / "a.png")
    assert list(tmp_path.iterdir()) == []
