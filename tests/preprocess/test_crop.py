import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import ParallelBeam
from chemtomo.io import read
from chemtomo.operators import Projector
from chemtomo.preprocess import crop_detector, detector_support, select_slices
from chemtomo.preprocess.values.intensity import PublishedScaling
from chemtomo.samples import phantom

COLUMNS = 60


def series(data, name="Al", **changes):
    return TiltSeries(name, data, np.arange(len(data)), **changes)


def block(first, last, value=5.0, shape=(3, 8)):
    data = np.zeros((*shape, COLUMNS), np.float32)
    data[1, 2, first : last + 1] = value
    return data


@given(
    ends=st.tuples(st.integers(0, COLUMNS - 1), st.integers(0, COLUMNS - 1)).map(sorted),
    axis=st.one_of(st.none(), st.floats(10, 50)),
    margin=st.integers(0, 8),
    kind=st.sampled_from(["intensity", "counts"]),
)
def test_no_signal_is_cut_and_the_range_is_symmetric(ends, axis, margin, kind):
    one = series(block(*ends), axis_position_px=axis, kind=kind)
    start, stop = detector_support(Dataset((one,)), margin)
    assert start <= ends[0]
    assert stop > ends[1]
    if start > 0 and stop < COLUMNS:
        # Whole columns on both sides of an axis that may lie anywhere between two of them.
        assert abs((start + stop - 1) / 2 - one.axis_position) < 1
    if axis is None:
        assert start + stop == COLUMNS
        assert start == max(0, min(ends[0], COLUMNS - 1 - ends[1]) - margin)


def test_support_is_that_of_all_signals_together():
    dataset = Dataset((series(block(25, 34), "A"), series(block(12, 20), "B")))
    assert detector_support(dataset, margin=0) == (12, 48)


def test_without_signal_nothing_is_cut():
    assert detector_support(Dataset((series(np.zeros((2, 3, 10), np.uint16)),))) == (0, 10)


def test_a_background_that_was_not_removed_is_not_cut():
    assert detector_support(Dataset((series(block(25, 34) + 0.1),))) == (0, COLUMNS)


@pytest.mark.parametrize("seed", range(3))
def test_stray_counts_are_not_signal(seed):
    rng = np.random.default_rng(seed)
    data = np.zeros((20, 40, COLUMNS))
    data[:, :, 20:40] = 4.0
    counts = rng.poisson(data + 0.002).astype(np.uint16)
    start, stop = detector_support(Dataset((series(counts, kind="counts"),)), margin=0)
    # Counts are looked at in windows that reach two columns to each side.
    assert 18 <= start <= 20
    assert 40 <= stop <= 42


def test_many_counts_at_the_edge_are_signal():
    rng = np.random.default_rng(0)
    data = np.full((20, 40, COLUMNS), 0.2)
    data[:, :, 20:40] = 4.0
    counts = rng.poisson(data).astype(np.uint16)
    assert detector_support(Dataset((series(counts, kind="counts"),))) == (0, COLUMNS)


def test_signals_of_different_geometry_have_no_common_support():
    with pytest.raises(DataError, match="same rows and columns"):
        detector_support(Dataset((series(block(1, 2), "A"), series(block(1, 2)[:, :, :-1], "B"))))


def test_the_simulated_needle_leaves_its_margin_free():
    start, stop = detector_support(phantom((6, 64), tilts=12), margin=0)
    assert start + stop == 64
    assert 4 <= start <= 10


@given(
    axis=st.one_of(st.none(), st.floats(10, 20)),
    ends=st.tuples(st.integers(0, 12), st.integers(16, 30)),
)
def test_cropping_keeps_the_tilt_axis_in_the_sample(axis, ends):
    start, stop = ends
    data = np.arange(2 * 3 * 30, dtype=np.float32).reshape(2, 3, 30)
    one = series(data, axis_position_px=axis)
    cropped = crop_detector(one, start, stop)
    assert cropped.axis_position + start == pytest.approx(one.axis_position, abs=1e-12)
    assert (cropped.data == data[:, :, start:stop]).all()


def test_a_cropped_projection_is_the_projection_on_a_smaller_detector():
    rng = np.random.default_rng(1)
    image = rng.random((1, 9, 2, 11))
    tilts = [-63.0, 0.0, 20.0, 90.0]
    whole = Projector(ParallelBeam(tilts, 30, (9, 11), 13.3), 1, 2).forward(image)[0]
    cropped = crop_detector(series(whole, axis_position_px=13.3), 4, 25)
    small = Projector(ParallelBeam(tilts, 21, (9, 11), cropped.axis_position), 1, 2).forward(image)[0]
    np.testing.assert_allclose(cropped.data, small, atol=1e-12)


def test_a_symmetric_crop_leaves_the_axis_in_the_centre():
    cropped = crop_detector(series(block(25, 34)), 20, 40)
    assert cropped.axis_position_px is None
    assert cropped.provenance == ({"step": "crop_detector", "start": 20, "stop": 40, "of": COLUMNS},)


def test_slices_are_rows_of_every_projection():
    data = np.arange(2 * 5 * 3).reshape(2, 5, 3)
    chosen = select_slices(series(data), 1, 3)
    assert (chosen.data == data[:, 1:3]).all()
    assert chosen.provenance == ({"step": "select_slices", "start": 1, "stop": 3, "of": 5},)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (6, 5), (0, 61)])
def test_a_range_beside_the_data_is_refused(start, stop):
    with pytest.raises(ParameterError, match=f"{start}:{stop}.*STOP <= 60"):
        crop_detector(series(block(25, 34)), start, stop)
    with pytest.raises(ParameterError, match="STOP <= 8"):
        select_slices(series(block(25, 34)), start, stop)


def test_support_of_the_published_phantom(data_folder):
    dataset = read(sorted((data_folder / "phantom").glob("*.mrc")))
    start, stop = detector_support(dataset)
    assert (start, stop) == (64, 369)
    done = PublishedScaling().apply(dataset)
    assert detector_support(done) == (65, 368)


@given(
    shifts=st.lists(st.floats(-6, 6), min_size=3, max_size=3),
    kind=st.sampled_from(["intensity", "counts"]),
)
def test_the_support_of_shifted_projections_is_about_their_own_axes(shifts, kind):
    """A rod on the axis, wherever the shift brings it: nothing is cut, and little is kept besides."""
    shifts = np.round(shifts)
    data = np.zeros((3, 4, COLUMNS), np.float32)
    for projection, shift in zip(data, shifts.astype(int), strict=True):
        projection[:, 28 + shift : 32 + shift] = 9
    one = series(data, kind=kind, detector_shifts_px=shifts)
    start, stop = detector_support(Dataset((one,)), margin=0)
    assert not data[:, :, :start].any()
    assert not data[:, :, stop:].any()
    assert start + stop == COLUMNS
    farthest = int(np.abs(shifts).max())
    assert stop - start <= 4 + 2 * farthest + (4 if kind == "counts" else 0)


def test_the_support_holds_signals_of_different_tilts():
    dataset = Dataset((series(block(25, 34), "A"), series(block(12, 20, shape=(2, 8)), "B")))
    assert detector_support(dataset, margin=0) == (12, 48)
