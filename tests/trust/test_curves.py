import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.trust.curves import Curve, read

STRENGTHS = 2.0 ** np.arange(-3, 4)


def curve(best, *, width=1.0, noise=0.0, samples=40, seed=0):
    """Samples whose sum is a parabola in the logarithm of the strength, whatever their noise."""
    scatter = np.random.default_rng(seed).normal(size=(STRENGTHS.size, samples))
    scatter -= scatter.mean(axis=1, keepdims=True)
    exact = ((np.log2(STRENGTHS) - np.log2(best)) / width) ** 2
    return Curve(STRENGTHS, exact[:, None] / samples + noise * scatter)


@given(best=st.floats(0.3, 3.5))
def test_without_noise_the_best_is_found_and_chosen(best):
    found = read(curve(best))
    assert np.log2(found.best / best) == pytest.approx(0, abs=0.05)
    # All samples of a parabola rise and fall together, but not equally: their scatter is no noise.
    assert found.chosen >= found.best
    assert found.inside


@given(best=st.floats(0.3, 3.0), noise=st.floats(0, 0.1), seed=st.integers(0, 100))
def test_the_smoothest_within_the_error_is_chosen(best, noise, seed):
    one = curve(best, noise=noise, seed=seed)
    found = read(one)
    assert found.chosen >= found.best
    # The unit of the scores, and what is common to all strengths, do not matter.
    assert read(Curve(STRENGTHS, 7 * one.scores + 3)).chosen == pytest.approx(found.chosen)


def test_more_noise_asks_for_more_smoothness():
    chosen = [read(curve(1.0, noise=noise)).chosen for noise in (0.0, 0.02, 0.06)]
    assert chosen == sorted(chosen)
    assert chosen[-1] > chosen[0]


def test_errors_are_those_of_differences():
    """What all strengths have in common cancels."""
    one = curve(1.0)
    common = np.random.default_rng(0).normal(0, 1000, one.scores.shape[1])
    other = Curve(one.strengths, one.scores + common)
    np.testing.assert_allclose(other.against_best, one.against_best, atol=1e-8)


@pytest.mark.parametrize("best", [0.01, 100.0])
def test_a_best_strength_outside_is_told(best):
    assert not read(curve(best)).inside
