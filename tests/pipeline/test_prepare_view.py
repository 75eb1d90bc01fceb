"""One prepared projection is that of the prepared series, wherever it lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chemtomo.data import Dataset, TiltSeries
from chemtomo.pipeline.jobs.prepare import prepare
from chemtomo.pipeline.prepare_view import PreparedView, ViewStopped
from chemtomo.preprocess.operations import (
    Background,
    Bin,
    Brightness,
    Crop,
    DropTilts,
    HotPixels,
    Pad,
    ScanDriftStep,
    SortTilts,
)

TILTS = np.array([20.0, -40, 0, 60, -10])
STEPS = [
    Crop(x=(3, 8), y=(1, 5)),
    Pad(x=2, y=1),
    Bin(factor=2),
    Bin(factor=3, channels=("HAADF",)),
    DropTilts(projections=(1,)),
    SortTilts(),
    HotPixels(),
    Background(method="edges", width=2),
    Brightness(),
]


@pytest.fixture(scope="module")
def dataset():
    """The value of an intensity tells where in the sample its pixel is."""
    rows, columns = np.mgrid[:16, :24]
    place = (1000.0 * rows + columns + 5e4 * np.arange(1, 6)[:, None, None]).astype(np.float32)
    counts = np.random.default_rng(0).poisson(5, (5, 16, 24)).astype(np.uint16)
    return Dataset((TiltSeries("HAADF", place, TILTS, 2.0), TiltSeries("Al", counts, TILTS, 2.0, "counts")))


@settings(max_examples=25)
@given(steps=st.lists(st.sampled_from(STEPS[:-2]), max_size=4, unique_by=lambda one: one.operation))
def test_a_projection_is_that_of_the_prepared_series(dataset, steps):
    expected = prepare(dataset, steps)
    for name in dataset.names:
        view = PreparedView(dataset, name)
        view.prepare(steps)
        kept = []
        for number, tilt in enumerate(TILTS):
            found = view.projection(number)
            if found is None:
                continue
            kept.append(tilt)
            at = int(np.flatnonzero(expected[name].tilts_deg == tilt)[0])
            np.testing.assert_array_equal(found.image, expected[name].data[at].astype(np.float32))
            assert found.tilt_deg == tilt
            assert found.pixel_size_nm == expected[name].pixel_size_nm
        assert sorted(kept) == sorted(expected[name].tilts_deg)


@settings(max_examples=25)
@given(steps=st.lists(st.sampled_from(STEPS[:6]), max_size=4, unique_by=lambda one: one.operation))
def test_it_says_where_the_pixels_are(dataset, steps):
    """The values tell: a mean over a bin is the value at its centre."""
    view = PreparedView(dataset, "HAADF")
    view.prepare(steps)
    found = view.projection(2)
    inside = found.image > 0  # what was padded is nowhere
    if any(isinstance(one, Pad) for one in steps):
        # A bin across the edge has a part of the value only.
        inside = found.image > 1.4e5
    rows, columns = np.nonzero(inside)
    y = (found.origin_nm[0] + rows * found.pixel_size_nm) / 2.0
    x = (found.origin_nm[1] + columns * found.pixel_size_nm) / 2.0
    whole = found.image[inside] - 1.5e5
    sure = np.abs(whole - 1000 * y - x) < 0.1
    assert sure.mean() > 0.6


def test_background_and_gain_are_accounted_for(dataset):
    view = PreparedView(dataset, "Al")
    view.prepare([Background(method="constant", level=1.0), Brightness()])
    series = prepare(dataset, [Background(method="constant", level=1.0), Brightness()])["Al"]
    np.testing.assert_allclose(view.projection(3).image, (series.data[3] - 1.0) / series.gains[3], rtol=1e-5)


def test_what_is_known_is_kept_and_forks_go_their_own_way(dataset):
    view = PreparedView(dataset, "HAADF")
    view.prepare([HotPixels(), Bin(factor=2)])
    other = view.fork()
    other.prepare([HotPixels(), Bin(factor=4)])
    assert other._stages[1] is view._stages[1]
    assert other.projection(0).image.shape == (4, 6)
    assert view.projection(0).image.shape == (8, 12)


def test_it_stops_when_nobody_wants_it(dataset):
    view = PreparedView(dataset, "HAADF")
    asked = []
    with pytest.raises(ViewStopped):
        view.prepare([Bin(factor=2), Brightness()], lambda: len(asked) == 2 or asked.append(1))
    assert len(asked) == 2  # in the third projection of five
    # What is found without the whole series was kept, and it goes on from there.
    view.prepare([Bin(factor=2)])
    assert view.projection(4).image.shape == (8, 12)


def test_the_drift_of_scans_needs_the_other_signals():
    rng = np.random.default_rng(1)
    image = np.kron(rng.random((8, 8)), np.ones((8, 8)))[None]
    dataset = Dataset(
        (
            TiltSeries("fast", image, [0]),
            TiltSeries("Fe", rng.poisson(5 * image), [0], kind="counts"),
        )
    )
    steps = [ScanDriftStep(fast="fast", blocks=3)]
    view = PreparedView(dataset, "Fe")
    view.prepare(steps)
    series = prepare(dataset, steps)["Fe"]
    np.testing.assert_allclose(view.projection(0).image, series.data[0] / series.gains[0], rtol=1e-5)
