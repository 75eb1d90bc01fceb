"""Weights of the channels: what they must not depend on, and what they must."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.recon.weights import Weights, counts_weights, equivalent_counts, paper_weights, typical_value

TILTS = np.linspace(-60, 60, 9)
NORM = 7.0


def disc(height: int = 12, width: int = 40) -> np.ndarray:
    """Expected signal: the projections of a disc, with empty columns on both sides, at most 1."""
    x = np.arange(width) - (width - 1) / 2
    return np.broadcast_to(np.sqrt(np.maximum(0, 1 - (x / 13) ** 2)), (len(TILTS), height, width))


def series(name: str, data: np.ndarray, kind: Any = "intensity") -> TiltSeries:
    return TiltSeries(name, data, TILTS, kind=kind)


def counts(name: str, expected: np.ndarray, seed: int = 0) -> TiltSeries:
    return series(name, np.random.default_rng(seed).poisson(expected).astype(np.uint16), "counts")


def intensity(name: str, noise: float = 0.02, factor: float = 1.0) -> TiltSeries:
    """A bright signal whose variance is proportional to its mean."""
    rng = np.random.default_rng(5)
    return series(name, factor * (disc() + noise * np.sqrt(disc()) * rng.standard_normal(disc().shape)))


def dataset() -> Dataset:
    return Dataset((intensity("HAADF"), counts("Al", 20 * disc(), 1), counts("Yb", 3 * disc(), 2)))


# The weights of the publication


def test_published_weights() -> None:
    mu = {"HAADF": 0.2, "Al": 0.004, "Yb": 0.0005}
    weights = paper_weights(dataset(), mu, NORM)
    assert weights.scales == (1, 1, 1)
    assert weights.weights == pytest.approx([NORM**2 * 0.2, NORM**2 * 0.004, NORM**2 * 0.0005])
    assert weights.report == pytest.approx(1 / NORM**2)
    assert weights.data_report == (1, 1, 1)


def test_published_weights_have_no_default() -> None:
    with pytest.raises(ParameterError, match="expected mu for HAADF, Yb"):
        paper_weights(dataset(), {"Al": 1.0}, NORM)


# Names


@pytest.mark.parametrize("normalisation", ["paper", "counts"])
def test_a_unique_prefix_names_a_channel(normalisation: str) -> None:
    def weigh(mu: dict[str, float]) -> Weights:
        if normalisation == "paper":
            return paper_weights(dataset(), mu, NORM)
        return counts_weights(dataset(), mu, 1.0, "kl")

    full = weigh({"HAADF": 3.0, "Al": 5.0, "Yb": 7.0})
    assert weigh({"H": 3.0, "A": 5.0, "Y": 7.0}) == full
    with pytest.raises(ParameterError, match="channel 'Fe' fits none; expected one of HAADF, Al, Yb"):
        weigh({"Fe": 1.0})
    with pytest.raises(ParameterError, match="mu: found two weights for channel 'Al'; expected one"):
        weigh({"Al": 1.0, "A": 1.0})


def test_an_ambiguous_prefix() -> None:
    both = Dataset((counts("Al", disc()), counts("Ag", disc())))
    with pytest.raises(ParameterError, match="channel 'A' fits Al, Ag"):
        counts_weights(both, {"A": 1.0}, 1.0, "kl")


# Weights by statistics


@pytest.mark.parametrize("data_term", ["kl", "l2"])
@pytest.mark.parametrize("factor", [1e-3, 2.5, 1e5])
@pytest.mark.parametrize("height", [1, 2, 12])
def test_the_unit_of_an_intensity_does_not_matter(data_term: str, factor: float, height: int) -> None:
    bright = intensity("HAADF")
    bright = bright.replace(data=bright.data[:, :height])
    other = counts("Al", 20 * disc())
    weights = counts_weights(Dataset((bright, other)), {}, 1.0, data_term)
    in_other_unit = Dataset((bright.replace(data=factor * bright.data), other))
    found = counts_weights(in_other_unit, {}, 1.0, data_term)
    assert found.weights == pytest.approx(weights.weights, rel=1e-6)
    assert found.scales == pytest.approx([factor * weights.scales[0], weights.scales[1]], rel=1e-6)
    assert found.report == weights.report
    power = 1 if data_term == "kl" else 2
    assert found.data_report[0] == pytest.approx(factor**power * weights.data_report[0], rel=1e-6)


@pytest.mark.parametrize(("brightest", "factor"), [(0.5, 2**0.5), (4.0, 2.0), (20.0, 2.0)])
def test_twice_the_exposure_is_twice_the_weight_and_of_few_counts_as_much_as_their_noise(
    brightest: float, factor: float
) -> None:
    once = counts_weights(Dataset((counts("Al", brightest * disc(60), 1),)), {}, 1.0, "kl")
    twice = counts_weights(Dataset((counts("Al", 2 * brightest * disc(60), 2),)), {}, 1.0, "kl")
    assert twice.weights[0] == pytest.approx(factor * once.weights[0], rel=0.05)
    assert twice.scales[0] == pytest.approx(2 * once.scales[0], rel=0.05)


@pytest.mark.parametrize(("height", "tolerance"), [(60, 0.1), (2, 0.4), (1, 0.4)])
def test_a_signal_with_the_noise_of_counts_weighs_as_much_as_counts(height: int, tolerance: float) -> None:
    """The variance of an intensity is estimated: counts in another unit, told nothing of it."""
    as_counts = counts("Al", 30 * disc(height))
    as_intensity = series("Al", 0.01 * as_counts.data)
    expected = counts_weights(Dataset((as_counts,)), {}, 1.0, "kl").weights[0]
    found = counts_weights(Dataset((as_intensity,)), {}, 1.0, "kl").weights[0]
    assert found == pytest.approx(expected, rel=tolerance)


def test_noise_of_an_intensity_is_not_trusted_without_limit() -> None:
    perfect = series("HAADF", disc())
    noisy = intensity("HAADF", noise=0.2)
    assert equivalent_counts(perfect, typical_value(perfect)) == 500
    assert equivalent_counts(noisy, typical_value(noisy)) < 50


def test_strength_and_factors_scale_the_weights() -> None:
    weights = counts_weights(dataset(), {}, 1.0, "kl")
    stronger = counts_weights(dataset(), {"Yb": 3.0}, 4.0, "kl")
    np.testing.assert_allclose(stronger.weights, np.array(weights.weights) * [0.25, 0.25, 0.75])
    assert stronger.scales == weights.scales
    assert stronger.report == pytest.approx(4 * weights.report)
    assert stronger.data_report == weights.data_report


def test_the_objective_is_that_of_the_measured_counts() -> None:
    """Weight times report times ``D(scaled)`` is ``D`` of the counts, as the divergence is homogeneous."""
    weights = counts_weights(dataset(), {}, 0.7, "kl")
    np.testing.assert_allclose(
        np.array(weights.weights[1:]) * weights.report, np.array(weights.scales[1:]), rtol=1e-12
    )


@given(order=st.permutations([0, 1, 2]))
def test_channels_have_no_order(order: list[int]) -> None:
    known = dataset()
    weights = counts_weights(known, {"A": 2.0}, 1.0, "kl")
    found = counts_weights(known.select([known.names[i] for i in order]), {"A": 2.0}, 1.0, "kl")
    assert found.weights == tuple(weights.weights[i] for i in order)
    assert found.scales == tuple(weights.scales[i] for i in order)


# The typical value


@pytest.mark.parametrize("rate", [0.2, 1.0, 5.0, 50.0])
def test_the_typical_value_of_a_constant_rate_is_the_rate(rate: float) -> None:
    data = np.random.default_rng(1).poisson(rate, (20, 100, 300))
    one = TiltSeries("Al", data, np.arange(20.0), kind="counts")
    assert typical_value(one) == pytest.approx(rate, rel=0.1)


def test_the_typical_value_is_where_the_signal_is_bright() -> None:
    assert typical_value(series("HAADF", np.full((9, 2, 3), 4.0))) == pytest.approx(4)
    padded = np.pad(disc(), ((0, 0), (0, 0), (50, 50)))
    assert typical_value(series("a", padded)) == pytest.approx(typical_value(series("b", disc())))
    assert 0.5 < typical_value(series("a", disc())) < 1


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_a_few_counts_have_a_typical_value(pixels: int) -> None:
    data = np.zeros(disc().shape, np.uint8)
    data[0, 0, :pixels] = 1
    assert typical_value(series("Yb", data, "counts")) > 0


@pytest.mark.parametrize("value", [0.0, -1.0])
@pytest.mark.parametrize("kind", ["counts", "intensity"])
def test_a_channel_without_signal_is_named(value: float, kind: str) -> None:
    empty = series("Yb", np.full(disc().shape, value), kind)
    with pytest.raises(DataError, match=r"tilt series 'Yb' sums to -?\d+; expected a positive signal"):
        counts_weights(Dataset((intensity("HAADF"), empty)), {}, 1.0, "kl")


@pytest.mark.parametrize("brightest", [0.15, 0.5])
def test_the_typical_value_of_very_few_counts_on_a_background_is_that_where_they_are(
    brightest: float,
) -> None:
    """A disc in an empty field, with four times as much background everywhere: not the mean of the field."""
    field = np.zeros((9, 64, 64))
    field[:, 20:36, 24:40] = brightest
    background = np.full(field.shape, 4 * brightest)
    found = [
        typical_value(counts("Al", field + background, seed).replace(background=background))
        for seed in range(6)
    ]
    assert np.mean(found) == pytest.approx(brightest, rel=0.5)
    assert np.mean(found) > 5 * field.mean()


# What the forward model has besides the sample


@pytest.mark.parametrize("brightest", [0.7, 20.0])
def test_the_typical_value_is_that_above_a_known_background(brightest: float) -> None:
    """However strong it is, its noise does not count as signal."""
    background = np.broadcast_to(np.linspace(2, 8, 40), disc().shape)
    found, expected = [], []
    for seed in range(8):
        seen = counts("Al", brightest * disc() + background, seed).replace(background=background)
        found.append(typical_value(seen))
        expected.append(typical_value(counts("Al", brightest * disc(), seed)))
    # of a clear signal as without; of one that hardly shows above the noise the size
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.02 if brightest > 1 else 0.5)
    assert max(found) < 2 * brightest
    assert typical_value(seen.replace(background=None)) > brightest + 1.5


def test_an_intensity_above_its_background() -> None:
    background = np.broadcast_to(np.linspace(2, 8, 40), disc().shape)
    seen = series("HAADF", disc() + background).replace(background=background)
    assert typical_value(seen) == pytest.approx(typical_value(series("HAADF", disc())))


def test_gains_are_taken_out_of_the_typical_value() -> None:
    gains = np.linspace(0.4, 1.0, len(TILTS))
    expected = 200 * disc() * gains[:, None, None] + 5
    seen = counts("Al", expected).replace(gains=gains, background=np.full(disc().shape, 5.0))
    assert typical_value(seen) == pytest.approx(typical_value(series("a", 200 * disc())), rel=0.01)
    in_other_unit = seen.replace(gains=3 * gains)
    assert typical_value(in_other_unit) == pytest.approx(typical_value(seen) / 3)


def test_the_weight_is_the_number_of_counts_whatever_the_unit_of_the_gains() -> None:
    """Weight times gain is what counts: the gains in another unit leave it."""
    gains = np.linspace(0.4, 1.0, len(TILTS))
    seen = counts("Al", 20 * disc() * gains[:, None, None]).replace(gains=gains)
    once = counts_weights(Dataset((seen,)), {}, 1.0, "kl")
    again = counts_weights(Dataset((seen.replace(gains=4 * gains),)), {}, 1.0, "kl")
    assert 4 * again.weights[0] == pytest.approx(once.weights[0])
    assert 4 * again.scales[0] == pytest.approx(once.scales[0])


def test_a_map_below_its_background_is_an_error() -> None:
    below = counts("Yb", disc()).replace(background=np.full(disc().shape, 3.0))
    with pytest.raises(DataError, match=r"'Yb' sums to -\d+.* above its background; expected a positive"):
        typical_value(below)


def test_a_lazy_series_has_the_same_weight() -> None:
    import dask.array

    background = np.full(disc().shape, 0.5)
    for one in (intensity("HAADF"), counts("Al", 20 * disc() + 0.5)):
        eager = one.replace(background=background)
        lazy = one.replace(
            data=dask.array.from_array(one.data, chunks=(1, 12, 40)),
            background=dask.array.from_array(background, chunks=(2, 12, 40)),
        )
        assert typical_value(lazy) == typical_value(eager)
        scale = typical_value(eager)
        assert equivalent_counts(lazy, scale) == equivalent_counts(eager, scale)
