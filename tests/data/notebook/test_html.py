"""What notebooks show of the data."""

import base64
import re
from html.parser import HTMLParser
from io import BytesIO

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.image import imread

from chemtomo.data import Alignment, Dataset, SpectrumSeries, TiltSeries, Volume
from chemtomo.data.notebook.html import MOST_PIXELS, channels_picture, image_picture
from chemtomo.errors import ReadError

NAME = "<script>\"A&l'"
TILTS = np.array([-30.0, 2.0, 40.0])
VOID = {"img"}


class Checked(HTMLParser):
    """Fails on tags that are not closed in order, and keeps what was found."""

    def __init__(self, text):
        super().__init__()
        self.opened, self.tags, self.said, self.sources = [], set(), "", []
        self.feed(text)
        self.close()
        assert self.opened == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag in VOID:
            self.sources.append(dict(attributes)["src"])
        else:
            self.opened.append(tag)

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag

    def handle_data(self, data):
        self.said += f"{data} "


def pictures(text):
    found = []
    for source in Checked(text).sources:
        head, _, encoded = source.partition(",")
        assert head == "data:image/png;base64"
        found.append(imread(BytesIO(base64.b64decode(encoded, validate=True)), format="png"))
    return found


def series(data=None, **changes):
    data = np.arange(60, dtype=np.float32).reshape(3, 4, 5) if data is None else data
    return TiltSeries(**{"name": NAME, "data": data, "tilts_deg": TILTS, "notes": (NAME,), **changes})


def spectra(data=None):
    data = np.ones((3, 4, 5, 6), np.uint8) if data is None else data
    return SpectrumSeries(NAME, data, TILTS, energy_offset_keV=0.0, energy_step_keV=0.1, elements=(NAME,))


def alignment(**changes):
    matrices = np.tile(np.eye(2, 3), (3, 1, 1))
    return Alignment(**{"reference": NAME, "tilts_deg": TILTS, "matrices": matrices, **changes})


def nan(*shape):
    return np.full(shape, np.nan, np.float32)


CASES = {
    "series": (series(), 1),
    "series of NaN": (series(nan(3, 4, 5)), 1),
    "series of one pixel": (series(np.zeros((3, 1, 1), np.uint8)), 1),
    "series of a long row": (series(np.zeros((3, 1, 5000), np.uint8)), 1),
    "dataset": (Dataset((series(), series(name="O"))), 2),
    "spectra": (spectra(), 2),
    "spectra of NaN": (spectra(nan(3, 4, 5, 6)), 2),
    "alignment": (alignment(shape=(4, 5), residual_px=nan(3)), 1),
    "alignment without a shape": (alignment(), 1),
    "volume": (Volume(np.random.default_rng(0).random((2, 3, 4, 5), np.float32), (NAME, "O")), 1),
    "volume of NaN": (Volume(nan(1, 3, 4, 5), (NAME,)), 1),
}


@pytest.mark.parametrize(("shown", "count"), CASES.values(), ids=CASES.keys())
def test_every_kind_of_data_is_shown_with_pictures(shown, count):
    text = shown._repr_html_()
    checked = Checked(text)
    assert "script" not in checked.tags
    assert NAME in checked.said
    found = pictures(text)
    assert len(found) == count
    assert all(1 <= edge <= 320 for one in found for edge in one.shape[:2])
    assert "no picture" not in text


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 7), st.integers(1, 400)),
        elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
        fill=st.just(np.float32(1)),
    )
)
@settings(max_examples=40, deadline=None)
def test_any_image_becomes_a_small_picture(image):
    with np.errstate(all="raise", under="ignore"):
        for made in (image_picture(image), channels_picture([image, image], ["HAADF", "O"])):
            found = imread(BytesIO(made), format="png")
            assert max(found.shape[:2]) <= MOST_PIXELS
            assert np.isfinite(found).all()


def test_the_picture_is_that_of_the_projection_nearest_to_0():
    data = np.zeros((3, 2, 2), np.float32)
    data[1] = [[0, 1], [2, 4]]
    (found,) = pictures(series(data)._repr_html_())
    np.testing.assert_allclose(found[:, :, 0], data[1] / 4, atol=0.02)


@pytest.mark.parametrize(
    ("make", "shape"), [(series, (3, 4, 5)), (spectra, (3, 4, 5, 6))], ids=["series", "spectra"]
)
def test_of_lazy_data_one_projection_is_read_once(make, shape):
    read = []

    def block(block_info=None):
        read.append(block_info[None]["chunk-location"][0])
        return np.ones((1, *shape[1:]), np.uint8)

    chunks = ((1, 1, 1), *((size,) for size in shape[1:]))
    data = da.map_blocks(block, chunks=chunks, dtype=np.uint8, meta=np.empty((0,) * len(shape), np.uint8))
    text = make(data)._repr_html_()
    assert read == [1]
    assert "not read yet" in text


def test_data_that_cannot_be_read_are_shown_with_the_reason():
    def gone(block_info=None):
        raise ReadError("<a.mrc>: is gone")

    data = da.map_blocks(
        gone, chunks=((1, 1, 1), (4,), (5,)), dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8)
    )
    checked = Checked(series(data)._repr_html_())
    assert "<a.mrc>: is gone" in checked.said
    assert checked.sources == []


def test_a_dataset_of_many_series_stays_small():
    text = Dataset(tuple(series(name=f"channel {index}") for index in range(20)))._repr_html_()
    assert len(pictures(text)) == 12
    assert re.search(r"and 8 more", text)
