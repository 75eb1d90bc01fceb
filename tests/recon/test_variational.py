"""TV and TGV from a dataset to a volume: laws that hold exactly, and the objective by its definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import kl_div

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.recon import Reconstructed
from chemtomo.recon.weights import counts_weights
from chemtomo.solvers import IterationRecord

Run = Callable[..., Reconstructed]

MU = {"HAADF": 0.2, "Al": 0.01, "Yb": 0.005}


def image(result: Reconstructed) -> np.ndarray:
    return result.volume.data


def last(result: Reconstructed) -> IterationRecord:
    (outcome,) = (outcome for _, outcome in result.slabs)
    return outcome.history[-1]


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-4) -> None:
    """Equal to a fraction of the largest value of every channel."""
    assert found.shape == expected.shape
    for one, other in zip(found, expected, strict=True):
        assert other.max() > 0
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * other.max())


# Backends


@pytest.mark.parametrize("steps", ["paper", "fast"])
@pytest.mark.parametrize(
    "choices",
    [
        {"method": "tgv", "data_term": "kl", "coupling": "frobenius", "dims": 3},
        {"method": "tgv", "data_term": "l2", "coupling": "none", "dims": 2},
        {"method": "tv", "data_term": "kl", "coupling": "none", "dims": 3},
        {"method": "tv", "data_term": "l2", "coupling": "frobenius", "dims": 2},
    ],
    ids=lambda choices: "-".join(str(value) for value in choices.values()),
)
def test_numpy_and_opencl_agree(
    run: Run, dataset: Dataset, opencl: str, steps: str, choices: dict[str, Any]
) -> None:
    expected = run(dataset, steps=steps, iterations=12, **choices)
    found = run(dataset, steps=steps, iterations=12, device=opencl, **choices)
    assert_close(image(found), image(expected), 2e-4)
    assert last(found).objective == pytest.approx(last(expected).objective, rel=1e-4)
    assert last(found).data == pytest.approx(last(expected).data, rel=1e-3)
    assert last(found).gap == pytest.approx(last(expected).gap, rel=1e-2)


# Laws


@pytest.mark.parametrize("method", ["tv", "tgv"])
def test_one_channel_is_the_same_coupled_or_not(run: Run, dataset: Dataset, method: str) -> None:
    one = dataset.select(["Al"])
    coupled = run(one, method=method, coupling="frobenius", steps="fast")
    alone = run(one, method=method, coupling="none", steps="fast")
    np.testing.assert_array_equal(image(coupled), image(alone))
    assert last(coupled).objective == last(alone).objective


def test_channels_share_their_edges_only_when_coupled(run: Run, dataset: Dataset) -> None:
    both = dataset.select(["HAADF", "Al"])
    alone = run(dataset.select(["Al"]), coupling="none", iterations=30)
    uncoupled = run(both, coupling="none", iterations=30)
    assert_close(image(uncoupled)[1:], image(alone), 1e-5)
    coupled = run(both, coupling="frobenius", iterations=30)
    assert np.abs(image(coupled)[1] - image(alone)[0]).max() > 0.01 * image(alone).max()


@pytest.mark.parametrize("method", ["tv", "tgv"])
@pytest.mark.parametrize("normalisation", ["paper", "counts"])
def test_slices_by_themselves(run: Run, dataset: Dataset, method: str, normalisation: str) -> None:
    """In two dimensions a stack is its slices, and so it is in three for a stack of one."""
    common = {"method": method, "normalisation": normalisation, "mu": MU}
    stack = run(dataset, dims=2, **common)
    total = 0.0
    for y in range(5):
        flat = run(dataset, dims=2, slices=(y, y + 1), **common)
        deep = run(dataset, dims=3, slices=(y, y + 1), **common)
        assert_close(image(flat), image(stack)[:, :, y : y + 1], 1e-5)
        assert_close(image(deep), image(flat), 1e-5)
        assert last(deep).objective == pytest.approx(last(flat).objective, rel=1e-6)
        total += last(flat).objective
    assert last(stack).objective == pytest.approx(total, rel=1e-6)


def test_slices_have_no_order_by_themselves(run: Run, dataset: Dataset) -> None:
    upside_down = dataset.map(lambda series: series.replace(data=series.data[:, ::-1]))
    expected = image(run(dataset, dims=2, steps="fast"))[:, :, ::-1]
    assert_close(image(run(upside_down, dims=2, steps="fast")), expected, 1e-5)


def test_neighbouring_slices_matter_in_three_dimensions(run: Run, dataset: Dataset) -> None:
    stack = run(dataset, dims=3, iterations=30)
    flat = run(dataset, dims=2, iterations=30)
    assert np.abs(image(stack) - image(flat)).max() > 0.01 * image(flat).max()


@pytest.mark.parametrize("device", ["numpy", "opencl"], indirect=True)
@pytest.mark.parametrize("steps", ["paper", "fast"])
def test_channels_have_no_order(run: Run, dataset: Dataset, device: str, steps: str) -> None:
    order = ["Yb", "HAADF", "Al"]
    expected = run(dataset, steps=steps, device=device)
    found = run(dataset.select(order), steps=steps, device=device)
    assert found.volume.names == tuple(order)
    assert_close(image(found), np.stack([expected.volume[name] for name in order]), 1e-3)
    assert last(found).objective == pytest.approx(last(expected).objective, rel=1e-3)


def test_tilts_have_no_order_and_full_turns_do_not_matter(run: Run, dataset: Dataset) -> None:
    order = np.random.default_rng(0).permutation(11)
    turns = 360.0 * np.arange(-5, 6)

    def shuffle(series: TiltSeries) -> TiltSeries:
        return series.replace(data=series.data[order], tilts_deg=(series.tilts_deg + turns)[order])

    assert_close(image(run(dataset.map(shuffle))), image(run(dataset)))


@pytest.mark.parametrize("data_term", ["kl", "l2"])
@pytest.mark.parametrize("steps", ["paper", "fast"])
@pytest.mark.parametrize("factor", [1e-4, 300.0])
def test_the_unit_of_an_intensity(
    run: Run, dataset: Dataset, data_term: str, steps: str, factor: float
) -> None:
    """The image follows the unit; other channels, and what is minimised, do not."""
    haadf = dataset["HAADF"]
    changed = Dataset((haadf.replace(data=factor * haadf.data), dataset["Al"], dataset["Yb"]))
    expected = run(dataset, data_term=data_term, steps=steps)
    found = run(changed, data_term=data_term, steps=steps)
    rescaled = image(found) / np.reshape([factor, 1, 1], (3, 1, 1, 1))
    assert_close(rescaled, image(expected))
    assert last(found).objective == pytest.approx(last(expected).objective, rel=1e-5)
    power = 1 if data_term == "kl" else 2
    assert last(found).data[0] == pytest.approx(factor**power * last(expected).data[0], rel=1e-4)
    assert last(found).data[1:] == pytest.approx(last(expected).data[1:], rel=1e-4)


def test_strength_is_the_weight_of_the_regulariser(run: Run, dataset: Dataset) -> None:
    """Twice the strength is twice ``alpha``: the same minimiser, here of the same fast steps."""
    stronger = run(dataset, strength=2.0, steps="fast", iterations=400)
    heavier = run(dataset, alpha0=8.0, alpha1=2.0, steps="fast", iterations=400)
    assert_close(image(stronger), image(heavier), 0.01)
    assert last(stronger).objective == pytest.approx(last(heavier).objective, rel=1e-3)
    assert last(stronger).regulariser < 2 * last(run(dataset, steps="fast", iterations=400)).regulariser


# The objective by its definition


def evaluate(
    dataset: Dataset, volume: np.ndarray, data_term: str, coupled: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Data terms ``D(T u, f)`` of the channels, and forward differences (component, channel, z, y, x).

    The volume is in the convention of the project; the differences along z are those of the published
    program, which numbers z from the other end.
    """
    tilts = dataset.series[0].tilts_deg
    geometry = ParallelBeam(tilts, 16, (16, 16))
    projections = Projector(geometry, *volume.shape[::2]).forward(volume.astype(np.float64))
    data = np.stack([series.data for series in dataset]).astype(np.float64)
    each = kl_div(data, projections) if data_term == "kl" else (projections - data) ** 2 / 2
    u = volume[:, ::-1].astype(np.float64)
    differences = [np.diff(u, axis=axis, append=np.take(u, [-1], axis)) for axis in (1, 2, 3)]
    return each.sum(axis=(1, 2, 3)), np.stack(differences)


def total_variation(differences: np.ndarray, coupled: bool) -> float:
    return float(np.sqrt((differences**2).sum(axis=(0, 1) if coupled else 0)).sum())


@pytest.mark.parametrize("coupled", [True, False])
@pytest.mark.parametrize("data_term", ["kl", "l2"])
def test_the_published_objective(run: Run, dataset: Dataset, data_term: str, coupled: bool) -> None:
    result = run(
        dataset, method="tv", normalisation="paper", mu=MU, alpha1=0.7, data_term=data_term,
        coupling="frobenius" if coupled else "none", iterations=20,
    )  # fmt: skip
    norm = Projector(ParallelBeam(dataset.series[0].tilts_deg, 16, (16, 16)), 1, 1).norm()
    data, differences = evaluate(dataset, image(result), data_term, coupled)
    regulariser = 0.7 * total_variation(differences, coupled) / norm
    assert last(result).data == pytest.approx(data, rel=1e-4)
    assert last(result).regulariser == pytest.approx(regulariser, rel=1e-4)
    assert last(result).objective == pytest.approx(data @ list(MU.values()) + regulariser, rel=1e-4)


def test_the_objective_of_counts(run: Run, dataset: Dataset) -> None:
    """The negative logarithm of the likelihood of the counts, and the regulariser of the scaled image."""
    counts = dataset.select(["Al", "Yb"])
    result = run(counts, method="tv", strength=0.7, iterations=20)
    data, differences = evaluate(counts, image(result), "kl", True)
    scales = np.reshape(counts_weights(counts, {}, 0.7, "kl").scales, (2, 1, 1, 1))
    norm = Projector(ParallelBeam(dataset.series[0].tilts_deg, 16, (16, 16)), 1, 1).norm()
    regulariser = 0.7 / 2.5 * total_variation(norm * differences / scales, True)
    assert last(result).data == pytest.approx(data, rel=1e-4)
    assert last(result).regulariser == pytest.approx(regulariser, rel=1e-4)
    assert last(result).objective == pytest.approx(data.sum() + regulariser, rel=1e-4)


# What is refused


def test_negative_values_need_squares(run: Run, dataset: Dataset) -> None:
    data = dataset["HAADF"].data.copy()
    data[3, 2, :2] = -1.5
    changed = Dataset((dataset["Al"], dataset["HAADF"].replace(data=data)))
    with pytest.raises(DataError, match=r"'HAADF' has 2 negative values, down to -1.5; expected none.*l2"):
        run(changed, data_term="kl")
    assert image(run(changed, data_term="l2")).max() > 0


def test_negative_values_that_are_cut_away_do_not_matter(run: Run, dataset: Dataset) -> None:
    data = dataset["HAADF"].data.copy()
    data[3, 4, 0] = -1.5
    changed = Dataset((dataset["HAADF"].replace(data=data),))
    assert image(run(changed, slices=(0, 4))).max() > 0


def test_published_weights_must_be_given(run: Run, dataset: Dataset) -> None:
    with pytest.raises(ParameterError, match="expected mu for Al, Yb"):
        run(dataset, normalisation="paper", mu={"HAADF": 0.2})
    with pytest.raises(ParameterError, match="channel 'Fe' fits none"):
        run(dataset, mu={"Fe": 0.2})


def test_a_channel_without_signal_is_refused(run: Run, dataset: Dataset) -> None:
    empty = dataset["Yb"].replace(data=np.zeros_like(dataset["Yb"].data))
    with pytest.raises(DataError, match="'Yb' sums to 0"):
        run(Dataset((dataset["Al"], empty)))
