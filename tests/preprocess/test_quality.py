"""Bad projections that were put in are proposed, with the reason; clean ones are not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from chemtomo.data import TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.io import read
from chemtomo.preprocess import score_projections
from chemtomo.preprocess.quality import score_projections_job
from chemtomo.preprocess.stacks import lazy_series

TILTS = np.arange(-60.0, 61.0, 4.0)

SPOIL = {
    "blur": lambda image: ndimage.gaussian_filter(image, 2.5),
    "jump": lambda image: np.roll(image, (11, -9), axis=(0, 1)),
    "contrast": lambda image: 0.6 * image,
}


def recorded(sample, seed, spoilt=()):
    """Projections with noise that wander by a pixel or so, as those that are not aligned do."""
    rng = np.random.default_rng(seed)
    wander = np.round(rng.normal(0, 0.7, (len(sample), 2))).astype(int)
    images = [np.roll(image, shift, axis=(0, 1)) for image, shift in zip(sample, wander, strict=True)]
    for number, what in spoilt:
        images[number] = SPOIL[what](images[number])
    stack = np.array(images) + 20 + rng.normal(0, 3, sample.shape)
    return TiltSeries("HAADF", stack.astype(np.float32), TILTS)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_proposed_of_a_clean_series(sample, seed):
    scores = score_projections(recorded(sample, seed))
    assert scores.proposed == ()
    assert scores.combined.shape == (31,)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 50),
    numbers=st.sets(st.integers(2, 28), min_size=1, max_size=4),
    kinds=st.lists(st.sampled_from(list(SPOIL)), min_size=4, max_size=4),
)
def test_projections_that_were_spoilt_are_proposed_and_no_others(sample, seed, numbers, kinds):
    # Two bad ones side by side are an end of what neighbours can tell.
    apart = [one for one in sorted(numbers) if one + 1 not in numbers]
    spoilt = list(zip(apart, kinds, strict=False))
    scores = score_projections(recorded(sample, seed, spoilt))
    assert scores.proposed == tuple(apart)
    for number, what in spoilt:
        assert what in scores.reasons[number]
        assert scores.combined[number] > scores.limit


@pytest.mark.parametrize("what", SPOIL)
@pytest.mark.parametrize("number", [0, 30])
def test_the_ends_are_judged_too(sample, what, number):
    assert score_projections(recorded(sample, 1, [(number, what)])).proposed == (number,)


def test_the_numbers_are_those_of_the_series_in_any_order(sample):
    straight = recorded(sample, 2, [(7, "blur"), (20, "contrast")])
    order = np.random.default_rng(0).permutation(31)
    mixed = straight.replace(data=straight.data[order], tilts_deg=TILTS[order])
    expected = sorted(int(np.flatnonzero(order == one)[0]) for one in (7, 20))
    scores = score_projections(lazy_series(mixed))
    assert list(scores.proposed) == expected
    assert scores.reasons == {
        int(np.flatnonzero(order == 7)[0]): ("blur",),
        int(np.flatnonzero(order == 20)[0]): ("contrast",),
    }
    json.dumps(scores.to_json())


@pytest.mark.parametrize("rate", [0.02, 0.5, 20.0])
def test_the_noise_of_counts_is_not_taken_for_a_fault(sample, rate):
    for seed in range(3):
        counts = np.random.default_rng(seed).poisson(rate * sample / 100)
        assert score_projections(TiltSeries("Al", counts, TILTS, kind="counts")).proposed == ()


def test_what_gains_explain_is_not_bad(sample):
    dim = recorded(sample, 3)
    gains = np.ones(31)
    gains[12] = 0.5
    dim = dim.replace(data=dim.data * gains[:, None, None])
    assert score_projections(dim).proposed == (12,)
    assert score_projections(dim.replace(gains=gains)).proposed == ()


def test_at_most_a_quarter_is_proposed(sample):
    spoilt = [(number, "contrast") for number in range(1, 31, 2)]
    assert len(score_projections(recorded(sample, 4, spoilt), 2.0).proposed) <= 31 // 4


def test_it_tells_its_progress(sample):
    job = score_projections_job(recorded(sample, 5))
    assert [next(job).done for _ in range(31)] == list(range(1, 32))


def test_what_cannot_be_judged_is_refused(sample):
    one = recorded(sample, 0)
    with pytest.raises(DataError, match="'HAADF': found 4 projections; expected at least 5"):
        score_projections(one.replace(data=one.data[:4], tilts_deg=TILTS[:4]))
    with pytest.raises(ParameterError, match="limit of 0"):
        score_projections(one, 0)
    data = one.data.copy()
    data[3, 1, 1] = np.nan
    with pytest.raises(DataError, match="projection 3 has values that are not finite"):
        score_projections(one.replace(data=data))


def test_a_blurred_projection_of_a_recorded_series_is_the_worst(data_folder):
    """A raw series that nobody has aligned: what is put in stands out of what it has itself."""
    (one,) = read(data_folder / "phantom" / "HAADF_lrsino.mrc")
    assert score_projections(one).proposed == ()
    data = np.array(one.data)
    data[10] = ndimage.gaussian_filter(data[10], 3)
    data[20] *= 0.7
    scores = score_projections(one.replace(data=data))
    assert scores.proposed == (10, 20)


def test_what_is_put_into_a_real_raw_series_is_found(data_folder):
    """91 projections as the microscope recorded them, over 180 degrees and not aligned."""
    (one,) = read([data_folder / "vendor" / "HAADF.dm3"])
    assert score_projections(one).proposed == ()
    data = np.array(one.data, dtype=np.float32)
    data[20] = ndimage.gaussian_filter(data[20], 2)
    data[45] = np.roll(data[45], (9, 7), axis=(0, 1))
    data[70] *= 0.7
    scores = score_projections(one.replace(data=data))
    assert scores.proposed == (20, 45, 70)
    assert [scores.reasons[number][0] for number in (20, 45, 70)] == ["blur", "jump", "contrast"]
