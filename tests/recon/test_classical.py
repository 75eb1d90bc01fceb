"""Classical methods from a dataset to a volume: what they conserve, and that they find a known specimen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.parameters import validated
from chemtomo.recon import Reconstructed, ReconstructParameters
from chemtomo.recon.filtered_back_projection import filter_sinograms
from chemtomo.solvers.classical.problem import inverse_sums

Run = Callable[..., Reconstructed]

METHODS: dict[str, dict[str, Any]] = {
    "bp": {"method": "bp"},
    "fbp": {"method": "fbp"},
    "sirt": {"method": "sirt"},
    "ordered subsets": {"method": "sirt", "subsets": 3},
    "sart": {"method": "sart", "iterations": 3},
    "sart in random order": {"method": "sart", "iterations": 3, "order": "random"},
    "cgls": {"method": "cgls", "iterations": 4},
    "mlem": {"method": "mlem"},
    "osem": {"method": "mlem", "subsets": 3},
    "dart": {"method": "dart", "grey_levels": (0.0, 1.0, 2.0), "start_iterations": 10},
}
LINEAR = {name: METHODS[name] | {"nonnegative": False} for name in ("bp", "fbp", "sirt", "sart", "cgls")}
EVERY_METHOD = pytest.mark.parametrize("choices", METHODS.values(), ids=METHODS)


@pytest.fixture(scope="module")
def well_sampled(truth: np.ndarray) -> Dataset:
    """Projections without noise, over the whole range of tilts."""
    return projections_of(truth, np.arange(-90.0, 90, 4))


def projections_of(truth: np.ndarray, tilts: np.ndarray) -> Dataset:
    size = truth.shape[-1]
    projections = Projector(ParallelBeam(tilts, size, (size, size)), *truth.shape[::2]).forward(truth)
    return Dataset(
        tuple(TiltSeries(name, data, tilts) for name, data in zip("abc", projections, strict=False))
    )


def assert_same(found: Reconstructed, expected: Reconstructed, tolerance: float = 1e-5) -> None:
    """Channel by channel, relative to the brightest voxel; a threshold may fall otherwise now and then."""
    assert found.volume.names == expected.volume.names
    for name in found.volume.names:
        difference = np.abs(found.volume[name] - expected.volume[name])
        assert (difference > tolerance * np.abs(expected.volume[name]).max()).mean() < 1e-3


@EVERY_METHOD
@pytest.mark.parametrize("crop", ["none", "auto"])
def test_numpy_and_opencl_agree(
    run: Run, dataset: Dataset, opencl: str, choices: dict[str, Any], crop: str
) -> None:
    expected, found = run(dataset, crop=crop, **choices), run(dataset, crop=crop, device=opencl, **choices)
    assert_same(found, expected)
    assert found.volume.data.min() >= 0
    objectives = [result.slabs[0][1].history[-1].objective for result in (found, expected)]
    assert objectives[0] == pytest.approx(objectives[1], rel=1e-4)


@EVERY_METHOD
def test_channels_are_alone(run: Run, dataset: Dataset, choices: dict[str, Any]) -> None:
    together = run(dataset, **choices)
    for name in dataset.names:
        part = dataclasses.replace(together, volume=together.volume.select([name]))
        assert_same(part, run(dataset.select([name]), **choices))


@EVERY_METHOD
def test_slices_are_alone(run: Run, dataset: Dataset, choices: dict[str, Any]) -> None:
    """So that slabs make no difference, nor which slices are asked for."""
    whole, part = run(dataset, **choices), run(dataset, slices=(2, 4), **choices)
    np.testing.assert_allclose(part.volume.data, whole.volume.data[:, :, 2:4], rtol=1e-5, atol=1e-6)


@EVERY_METHOD
def test_the_order_of_the_tilts_in_the_file_makes_no_difference(
    run: Run, dataset: Dataset, choices: dict[str, Any]
) -> None:
    order = np.random.default_rng(1).permutation(11)
    other = dataset.map(
        lambda series: series.replace(data=series.data[order], tilts_deg=series.tilts_deg[order])
    )
    assert_same(run(other, **choices), run(dataset, **choices))


@pytest.mark.parametrize("choices", LINEAR.values(), ids=LINEAR)
def test_the_image_follows_the_unit(run: Run, dataset: Dataset, choices: dict[str, Any]) -> None:
    haadf = dataset.select(["HAADF"])
    changed = haadf.map(lambda series: series.replace(data=-3e3 * series.data))
    expected, found = (run(one, **choices).volume.data for one in (haadf, changed))
    np.testing.assert_allclose(found, -3e3 * expected, rtol=0, atol=0.03 * expected.max())


@EVERY_METHOD
def test_values_stay_within_bounds(run: Run, dataset: Dataset, choices: dict[str, Any]) -> None:
    free = run(dataset, **choices).volume.data
    assert free.min() >= 0
    if choices["method"] != "dart":  # which has its grey levels anyway
        highest = float(0.5 * free.max())
        bounded = run(dataset, maximum=highest, minimum=0.01, **choices).volume.data
        assert np.float32(0.01) <= bounded.min()
        assert bounded.max() == np.float32(highest)


@pytest.mark.parametrize("device", ["numpy", "opencl"], indirect=True)
@pytest.mark.parametrize(
    ("choices", "error"),
    [
        ({"method": "sirt", "iterations": 200}, 0.2),
        ({"method": "sirt", "subsets": 5, "iterations": 40}, 0.2),
        ({"method": "sart", "iterations": 20}, 0.15),
        ({"method": "cgls", "iterations": 20}, 0.2),
        ({"method": "mlem", "iterations": 200}, 0.2),
        ({"method": "mlem", "subsets": 5, "iterations": 40}, 0.15),
        ({"method": "fbp"}, 0.35),
    ],
    ids=lambda value: "-".join(str(one) for one in value.values()) if isinstance(value, dict) else None,
)
def test_a_known_specimen_is_found(
    run: Run, well_sampled: Dataset, truth: np.ndarray, device: str, choices: dict[str, Any], error: float
) -> None:
    result = run(well_sampled, report_every=10, device=device, **choices)
    for found, expected in zip(result.volume.data, truth, strict=True):
        assert np.linalg.norm(found - expected) < error * np.linalg.norm(expected)
    (outcome,) = (outcome for _, outcome in result.slabs)
    assert outcome.history[-1].objective == pytest.approx(sum(outcome.history[-1].data))
    if choices["method"] in ("sirt", "mlem") and "subsets" not in choices:
        assert (np.diff([record.data for record in outcome.history], axis=0) < 0).all()


@pytest.mark.parametrize("choices", [{"nonnegative": True}, {"nonnegative": False}, {"subsets": 4}])
def test_mass_is_conserved(run: Run, well_sampled: Dataset, choices: dict[str, Any]) -> None:
    """Every projection of a specimen that is all on the detector has its mass."""
    result = run(well_sampled, method="sirt", iterations=60, **choices)
    mass = [series.data.sum(axis=(1, 2)).mean() for series in well_sampled]
    assert result.volume.data.sum(axis=(1, 2, 3)) == pytest.approx(mass, rel=0.02)


@pytest.mark.parametrize("iterations", [1, 2, 25])
def test_expectation_maximisation_keeps_the_counts(run: Run, dataset: Dataset, iterations: int) -> None:
    """After every iteration the image has exactly the counts that were measured, and none below zero."""
    volume = run(dataset, method="mlem", iterations=iterations).volume
    tilts = np.asarray(dataset.series[0].tilts_deg)
    projector = Projector(ParallelBeam(tilts, 16, (16, 16)), 1, 5)
    for series in dataset:
        assert volume[series.name].min() >= 0
        expected = projector.forward(volume[series.name][np.newaxis]).sum(dtype=np.float64)
        assert expected == pytest.approx(series.data.sum(dtype=np.float64), rel=1e-5)


def test_one_subset_for_each_tilt_is_sart(run: Run, dataset: Dataset) -> None:
    sart = run(dataset, method="sart", relaxation=0.8)
    np.testing.assert_array_equal(
        run(dataset, method="sirt", subsets=11, relaxation=0.8).volume.data, sart.volume.data
    )
    assert (
        run(dataset, method="sart", relaxation=0.8, order="sequential").volume.data != sart.volume.data
    ).any()
    one, other = (run(dataset, method="sart", order="random", seed=seed).volume.data for seed in (0, 1))
    assert (one != other).any()


def test_the_first_iteration_of_sirt_is_back_projection(run: Run, dataset: Dataset) -> None:
    expected = run(dataset, method="sirt", iterations=1)
    found = run(dataset, method="bp", iterations=500)
    np.testing.assert_array_equal(found.volume.data, expected.volume.data)
    assert found.slabs[0][1].iterations == 1


@pytest.mark.parametrize("method", ["sirt", "sart", "mlem"])
def test_what_fits_the_data_stays(run: Run, dataset: Dataset, truth: np.ndarray, method: str) -> None:
    """A solution of consistent data is a fixed point: what 400 iterations find changes no more."""
    consistent = projections_of(truth[:1], np.arange(-80.0, 90, 20))
    before, after = (run(consistent, method=method, iterations=n).volume.data for n in (400, 401))
    assert np.abs(after - before).max() < 2e-3 * before.max()


WINDOWS = ["ramp", "shepp-logan", "cosine", "hamming", "hann"]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("uneven", [False, True])
def test_a_disc_has_its_density(run: Run, window: str, uneven: bool) -> None:
    """From its exact projections, chords of a circle, also where the tilts are not equally far apart."""
    edge, radius, centre = 96, 30.0, np.array([4.3, -2.7])
    rng = np.random.default_rng(2)
    tilts = np.arange(-90.0, 90, 1.5)
    if uneven:
        tilts = np.sort(np.concatenate([np.arange(-90.0, 0, 3), np.arange(0.0, 90, 1.0)])) + rng.uniform(
            0, 0.1
        )
    angles = np.deg2rad(tilts)
    s = np.arange(edge) - (edge - 1) / 2
    middle = centre[1] * np.cos(angles) + centre[0] * np.sin(angles)
    fine = (s[:, None] + (np.arange(8) - 3.5) / 8)[None] - middle[:, None, None]
    chords = 2 * np.sqrt(np.maximum(radius**2 - fine**2, 0)).mean(axis=-1)
    series = TiltSeries("disc", (2.5 * chords[:, None]).astype(np.float32), tilts)
    found = run(Dataset((series,)), method="fbp", filter=window, nonnegative=False).volume.data[0, :, 0]
    z, x = np.meshgrid(s, s, indexing="ij")
    inside = np.hypot(z - centre[0], x - centre[1])
    assert found[inside < radius - 4].mean() == pytest.approx(2.5, rel=0.01)
    assert abs(found[(inside > radius + 4) & (np.hypot(z, x) < 45)].mean()) < 0.03
    assert np.abs(found[inside < radius - 6] - 2.5).max() < 0.3


def test_windows_take_away_ever_more_of_high_frequencies() -> None:
    point = np.zeros((1, 1, 64), np.float32)
    point[..., 32] = 1
    sharpness = [
        np.abs(filter_sinograms(point, np.zeros(1), window=window)).max()  # type: ignore[arg-type]
        for window in WINDOWS
    ]
    assert (np.diff(sharpness) < 0).all()


def test_tilts_over_more_than_half_a_turn_count_once(run: Run, truth: np.ndarray) -> None:
    half, whole = (projections_of(truth, np.arange(-90.0, end, 3)) for end in (90, 270))
    expected = run(half, method="fbp", nonnegative=False).volume.data
    found = run(whole, method="fbp", nonnegative=False).volume.data
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * expected.max())


def test_invalid_pixels_are_interpolated_before_the_filter(run: Run, well_sampled: Dataset) -> None:
    valid = np.random.default_rng(0).random(well_sampled.series[0].shape) > 0.05

    def damaged(series: TiltSeries) -> TiltSeries:
        return series.replace(data=np.where(valid, series.data, 1e6).astype(np.float32), valid=valid)

    expected = run(well_sampled, method="fbp").volume.data
    found = run(well_sampled.map(damaged), method="fbp").volume.data
    assert np.linalg.norm(found - expected) < 0.15 * np.linalg.norm(expected)


def discs(edge: int, levels: tuple[float, ...]) -> np.ndarray:
    """A specimen of materials beside and in each other, (channel, z, y, x)."""
    z, x = np.meshgrid(*2 * [np.arange(edge) - (edge - 1) / 2], indexing="ij")
    image = np.zeros((edge, edge))
    image[np.hypot(z, 0.8 * x) < 0.4 * edge] = levels[1]
    if len(levels) > 2:
        image[np.hypot(z + 0.12 * edge, x - 0.15 * edge) < 0.13 * edge] = levels[2]
        image[(np.abs(z - 0.15 * edge) < 0.07 * edge) & (np.abs(x + 0.1 * edge) < 0.2 * edge)] = levels[2]
    image[np.hypot(z - 0.02 * edge, x + 0.22 * edge) < 0.07 * edge] = 0
    return image[np.newaxis, :, np.newaxis]


@pytest.mark.parametrize("device", ["numpy", "opencl"], indirect=True)
def test_discrete_tomography_of_two_materials_is_exact(run: Run, device: str) -> None:
    truth = discs(48, (0.0, 1.7))
    dataset = projections_of(truth, np.linspace(-80, 80, 12))
    found = run(dataset, method="dart", grey_levels=(0, 1.7), iterations=60, device=device).volume.data
    np.testing.assert_array_equal(found, truth.astype(np.float32))


def test_discrete_tomography_finds_its_grey_levels(run: Run, opencl: str) -> None:
    """Of three levels at 96 x 96 from 30 projections; another program was wrong by 0.94 here."""
    truth = discs(96, (0.0, 1.0, 2.3))
    dataset = projections_of(truth, np.arange(30) * 6.0 - 87)
    found = run(dataset, method="dart", levels=3, iterations=40, device=opencl).volume.data
    np.testing.assert_allclose(np.unique(found), [0, 1.0, 2.3], rtol=0.02, atol=1e-6)
    assert np.linalg.norm(found - truth) < 0.08 * np.linalg.norm(truth)


@pytest.mark.parametrize("what", ["data", "background"])
def test_counts_below_zero_are_refused(run: Run, dataset: Dataset, what: str) -> None:
    negative = np.full(dataset.series[1].shape, -1.0, np.float32)
    spoilt = dataset.map(lambda one: one.replace(**{what: negative}) if one.name == "Al" else one)
    with pytest.raises(DataError, match=r"'Al' has .* down to -1; expected none below 0 for the method mlem"):
        run(spoilt, method="mlem")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maximum": 0.0}, "from 0 to 0; expected a maximum above the minimum"),
        ({"minimum": 2.0, "maximum": 1.0}, "from 2 to 1; expected a maximum above"),
        ({"method": "dart", "grey_levels": (1.0,)}, "found 1; expected at least two, all different"),
        ({"method": "dart", "grey_levels": (0.0, 1.0, 1.0)}, "found 0, 1, 1; expected at least two"),
        ({"method": "fbp", "filter": "butterworth"}, "filter"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        validated(ReconstructParameters, {"method": "sirt"} | changes)


def test_rays_and_pixels_that_meet_nothing_stay_out() -> None:
    """A detector far wider than the slice, and a slice far wider than the detector."""
    for detector, shape in ((31, (5, 5)), (5, (31, 31))):
        geometry = ParallelBeam([0, 20, 45], detector, shape)
        matrix = Projector(geometry, 1, 1).matrix
        rows, columns = inverse_sums(geometry, np.ones((1, 3)))
        assert np.isfinite(rows).all()
        assert np.isfinite(columns).all()
        # 1 where the sum counts, 0 where the ray or pixel meets hardly anything
        for product in (rows.ravel() * matrix.sum(axis=1), columns.ravel() * matrix.sum(axis=0)):
            assert set(np.round(product, 5)) <= {0.0, 1.0}
            assert 1.0 in np.round(product, 5)
