import numpy as np
import pytest
from PIL import Image

from chemtomo.data import Volume
from chemtomo.errors import WriteError
from chemtomo.figure import draw, mix_colours, render
from chemtomo.samples import phantom_volume

RGB = np.eye(3, dtype=np.float32)


def test_colours_add_up_and_do_not_overflow():
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 3, 8, 9)).astype(np.float32) / 2
    both = mix_colours(one + other, RGB)
    assert both == pytest.approx(mix_colours(one, RGB) + mix_colours(other, RGB), abs=1e-6)
    assert mix_colours(np.ones((2, 1, 1), np.float32), np.ones((2, 3), np.float32)).max() == 1


def test_an_empty_volume_shows_the_background():
    image = render(np.zeros((1, 6, 7, 8), np.float32), RGB[:1], ("Al",), size=40)
    assert image.shape == (40, 40, 3)
    assert np.ptp(image, axis=(0, 1)).max() == 0


def test_the_order_of_channels_does_not_matter():
    volume = phantom_volume((8, 24))
    data = volume.data / volume.data.max(axis=(1, 2, 3), keepdims=True)
    colours = np.random.default_rng(1).random((4, 3)).astype(np.float32)
    order = [2, 0, 3, 1]
    image = render(data, colours, volume.names, size=48)
    names = tuple(volume.names[index] for index in order)
    assert render(data[order], colours[order], names, size=48) == pytest.approx(image, abs=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_things_are_where_they_are(axis):
    """A red and a blue half: the view shows them apart, and swaps them when they are swapped."""
    data = np.zeros((2, 16, 16, 16), np.float32)
    halves = [[slice(4, 12)] * 3, [slice(4, 12)] * 3]
    halves[0][axis], halves[1][axis] = slice(2, 8), slice(8, 14)
    data[0][tuple(halves[0])] = data[1][tuple(halves[1])] = 1
    colours = RGB[[0, 2]]
    image = render(data, colours, ("A", "B"), size=48)
    down, right = np.mgrid[:48, :48]
    centres = [
        np.array([(image[..., c] * down).sum(), (image[..., c] * right).sum()]) / image[..., c].sum()
        for c in (0, 2)
    ]
    apart = centres[1] - centres[0]
    assert np.abs(apart).max() > 1
    if axis == 1:
        assert apart[0] > 5  # y points down
    if axis == 2:
        assert apart[1] > 5  # x points right


def test_a_picture_is_written(tmp_path):
    path = draw(phantom_volume((8, 24)), tmp_path / "a.png", title="A needle", caption="two\nlines")
    with Image.open(path) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[1] > 1000
    assert np.unique(pixels.reshape(-1, 3), axis=0).shape[0] > 1000
    assert path.stat().st_size < 300_000


def test_one_empty_channel_can_be_drawn(tmp_path):
    draw(Volume(np.zeros((1, 4, 5, 6), np.float32), ("Al",)), tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(WriteError, match="no folder"):
        draw(Volume(np.zeros((1, 4, 5, 6), np.float32), ("Al",)), tmp_path / "no" / "a.png")
    assert list(tmp_path.iterdir()) == []
