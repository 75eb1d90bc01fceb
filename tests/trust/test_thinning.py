import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.recon import ReconstructParameters
from chemtomo.recon.frame import Frame
from chemtomo.recon.weights import typical_value
from chemtomo.trust.thinning import can_be_split, halves_of_tilts, split_counts, without_tilts


def counts(data, **changes):
    tilts = np.linspace(-60, 60, len(data))
    return TiltSeries(**{"name": "Al", "data": data, "tilts_deg": tilts, "kind": "counts", **changes})


def shares_of(parts):
    """Shares of so many parts that add up to 1."""
    return st.lists(st.floats(0.05, 1), min_size=parts, max_size=parts).map(
        lambda weights: [one / sum(weights) for one in weights]
    )


@given(
    data=arrays.arrays(
        st.sampled_from([np.uint8, np.uint16, np.int32, np.float32]),
        st.tuples(*3 * [st.integers(1, 4)]),
        elements=st.integers(0, 100),
    ),
    shares=st.integers(1, 4).flatmap(shares_of),
    seed=st.integers(0, 2**31),
)
def test_parts_add_up_to_the_whole_and_keep_its_type(data, shares, seed):
    parts = split_counts(counts(data), shares, seed)
    assert len(parts) == len(shares)
    np.testing.assert_array_equal(sum(part.data for part in parts), data)
    assert all(part.data.dtype == data.dtype and (part.data >= 0).all() for part in parts)


def test_parts_of_poisson_counts_are_independent_poisson_counts():
    pixels = 200_000
    mean = 3.0
    data = np.random.default_rng(1).poisson(mean, (1, 1, pixels))
    shares = (0.5, 0.3, 0.2)
    parts = np.stack([part.data.ravel() for part in split_counts(counts(data), shares, 5)]).astype(float)
    expected = mean * np.array(shares)
    # Five standard errors: sqrt(v / n) of a mean, less than 2 sqrt(v (1 + v) / n) of a variance.
    np.testing.assert_allclose(parts.mean(axis=1), expected, atol=5 * np.sqrt(mean / pixels))
    covariance = np.cov(parts)
    np.testing.assert_allclose(covariance, np.diag(expected), atol=5 * 2 * mean / np.sqrt(pixels))


def test_the_halves_of_what_is_no_poisson_process_are_not_independent():
    """The law is one of Poisson counts: those of a constant number go together like cards of one pack."""
    data = np.full((1, 1, 10_000), 4)
    first, second = (part.data.ravel() for part in split_counts(counts(data), (0.5, 0.5)))
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(-1)


def test_equal_seeds_give_equal_parts_whatever_else_is_split():
    data = np.random.default_rng(0).poisson(5.0, (3, 4, 5))
    whole = counts(data)
    one, again, other = (split_counts(whole, (0.5, 0.5), seed)[0].data for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    alone = whole.replace(data=data[2:], tilts_deg=whole.tilts_deg[2:], recorded_numbers=(2,))
    np.testing.assert_array_equal(split_counts(alone, (0.5, 0.5), 3)[0].data, one[2:])
    assert (split_counts(whole.replace(name="Si"), (0.5, 0.5), 3)[0].data != one).any()


def test_gains_background_and_valid_pixels_go_along():
    rng = np.random.default_rng(0)
    data = rng.poisson(20.0, (4, 3, 50))
    gains = np.array([1.0, 0.5, 1.0, 2.0])
    valid = rng.random(data.shape) > 0.2
    background = np.full(data.shape, 0.5, np.float32)
    whole = counts(data, gains=gains, background=background, valid=valid, detector_shifts_px=np.arange(4.0))
    parts = split_counts(whole, (0.75, 0.25))
    for part, share in zip(parts, (0.75, 0.25), strict=True):
        np.testing.assert_allclose(part.gains, share * gains)
        np.testing.assert_allclose(part.background, share * background)
        np.testing.assert_array_equal(part.valid, valid)
        np.testing.assert_array_equal(part.detector_shifts_px, np.arange(4.0))
        assert (part.data[~valid] == 0).all()
        # What the part says of the sample is what the whole says: 4 standard errors of 3 x 50 x 4 pixels.
        assert typical_value(part) == pytest.approx(typical_value(whole), rel=0.1)
    np.testing.assert_array_equal(sum(part.data for part in parts)[valid], data[valid])


def test_values_of_pixels_that_are_not_valid_do_not_matter():
    data = np.ones((2, 3, 4), np.float32)
    data[0, 0, 0], data[1, 1, 1] = np.nan, -2.5
    valid = np.ones(data.shape, bool)
    valid[0, 0, 0] = valid[1, 1, 1] = False
    assert can_be_split(counts(data, valid=valid))
    assert split_counts(counts(data, valid=valid), (0.5, 0.5))[0].data.max() <= 1
    assert not can_be_split(counts(data))


@pytest.mark.parametrize(
    ("changes", "shares", "error", "words"),
    [
        ({"kind": "intensity"}, (0.5, 0.5), DataError, ["'Al'", "intensities", "counts"]),
        ({"data": np.full((2, 2, 2), 0.5)}, (0.5, 0.5), DataError, ["'Al'", "-60 degrees", "whole"]),
        ({"data": np.full((2, 2, 2), -1)}, (0.5, 0.5), DataError, ["'Al'", "negative"]),
        ({}, (0.5, 0.6), ParameterError, ["0.6", "add up to 1"]),
        ({}, (1.5, -0.5), ParameterError, ["-0.5", "positive"]),
    ],
)
def test_what_cannot_be_split_is_refused(changes, shares, error, words):
    with pytest.raises(error) as caught:
        split_counts(counts(**{"data": np.ones((2, 2, 2), int), **changes}), shares)
    for word in words:
        assert word in str(caught.value)


@given(tilts=st.lists(st.integers(-80, 80), min_size=2, max_size=9))
def test_halves_hold_every_tilt_once_and_reach_equally_far(tilts):
    data = np.arange(len(tilts), dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    dataset = Dataset((TiltSeries("HAADF", data, tilts),))
    halves = [half["HAADF"] for half in halves_of_tilts(dataset)]
    assert sorted(np.concatenate([half.data[:, 0, 0] for half in halves])) == list(range(len(tilts)))
    assert 0 <= len(halves[0].tilts_deg) - len(halves[1].tilts_deg) <= 1
    ordered = sorted(tilts)
    assert sorted(halves[0].tilts_deg) == ordered[::2]
    assert sorted(halves[1].tilts_deg) == ordered[1::2]


def test_a_single_projection_has_no_halves():
    with pytest.raises(DataError, match="one projection"):
        halves_of_tilts(Dataset((TiltSeries("HAADF", np.ones((1, 2, 2)), [0.0]),)))


def test_tilts_that_are_held_out_change_nothing_but_what_is_valid():
    rng = np.random.default_rng(0)
    series = TiltSeries("HAADF", rng.random((5, 3, 16)).astype(np.float32), np.linspace(-60, 60, 5))
    less = without_tilts(series, [1, 3])
    np.testing.assert_array_equal(less.valid.all(axis=(1, 2)), [True, False, True, False, True])
    np.testing.assert_array_equal(less.data, series.data)
    settings = ReconstructParameters()
    whole, part = (Frame.of(Dataset((one,)), None, settings.crop, False, "sample") for one in (series, less))
    assert whole.geometry == part.geometry
