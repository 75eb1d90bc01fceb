import numpy as np
import pytest
from scipy import ndimage

from chemtomo.data import Alignment
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import affine
from chemtomo.samples import Misalignment, alignment_error, particles
from chemtomo.samples.bodies import Box, Ellipsoid, project

SHAPE = (48, 64)
TILTS = np.array([-70.0, -31.0, 0.0, 20.0, 55.0])


def test_a_projection_holds_the_volume_of_the_body_at_every_tilt():
    ellipsoid = Ellipsoid((2.0, 1.3, -3.0), (9.0, 12.0, 14.0), 0.5)
    box = Box((1.0, -2.0, 3.0), (5.0, 9.5, 12.0), 2.0)
    for body, volume in (
        (ellipsoid, 0.5 * 4 / 3 * np.pi * 9 * 12 * 14),
        (box, 2.0 * 8 * 5 * 9.5 * 12),
    ):
        sums = project((body,), TILTS, affine.identity(len(TILTS)), SHAPE).sum(axis=(1, 2))
        assert sums == pytest.approx(volume, rel=3e-3)


@pytest.mark.parametrize("body", [Ellipsoid((6.0, 3.0, -5.0), (3.0,) * 3), Box((6.0, 3.0, -5.0), (3.0,) * 3)])
def test_the_centre_follows_the_geometry_and_the_misalignment(body):
    matrices = affine.compose(
        affine.translation(np.linspace(-4, 4, 5), np.linspace(3, -5, 5)), affine.tilt_axis(7.0, 2.5, SHAPE)
    )
    tilts = np.deg2rad(TILTS)
    s = (SHAPE[1] - 1) / 2 - 5 * np.cos(tilts) + 6 * np.sin(tilts)
    y = np.full(5, (SHAPE[0] - 1) / 2 + 3)
    for image, matrix, place in zip(
        project((body,), TILTS, matrices, SHAPE), matrices, np.stack([y, s], axis=1), strict=True
    ):
        assert ndimage.center_of_mass(image) == pytest.approx(matrix[:, :2] @ place + matrix[:, 2], abs=0.02)


def test_the_thickness_through_the_middle():
    images = project((Ellipsoid((0.0, 0.5, 0.5), (8.0, 9.0, 10.0)),), [0.0], affine.identity(1), SHAPE, 1)
    assert images[0, 24, 32] == pytest.approx(16)
    through = project((Box((0.0, 0.5, 0.5), (8.0, 9.0, 10.0)),), [0.0, 45.0], affine.identity(2), SHAPE, 1)
    assert through[:, 24, 32] == pytest.approx([16, 16 * np.sqrt(2)])


def test_seeds_noise_and_pedestal():
    first, again, other = (particles(shape=(48, 48), tilts_deg=TILTS, seed=s, dose=30) for s in (1, 1, 2))
    assert np.array_equal(first.series.data, again.series.data)
    assert not np.array_equal(first.series.data, other.series.data)
    quiet = particles(shape=(48, 48), tilts_deg=TILTS, seed=1)
    raised = particles(shape=(48, 48), tilts_deg=TILTS, seed=1, pedestal=0.2)
    assert raised.series.data - quiet.series.data == pytest.approx(0.2 * quiet.series.data.max(), rel=1e-3)
    grainy = particles(shape=(48, 48), tilts_deg=TILTS, seed=1, read_noise=0.02).series.data
    difference = grainy - quiet.series.data
    assert difference.std() == pytest.approx(0.02 * quiet.series.data.max(), rel=0.05)


def test_the_intruder_is_outside_of_the_field_at_small_tilts_only():
    calm = Misalignment(shifts_px=0)
    tilts = [-76, 0, 20, 60, 76]
    alone, with_other = (
        particles(shape=(64, 64), tilts_deg=tilts, misalignment=calm, intruder=intruder).series.data
        for intruder in (False, True)
    )
    assert ((with_other - alone).max(axis=(1, 2)) > 1).tolist() == [True, False, False, True, True]


@pytest.mark.parametrize("sample", ["sphere", "needle", "slab"])
def test_counts_of_the_maps(sample):
    made = particles(sample, shape=(64, 64), tilts_deg=TILTS, counts=0.5, seed=4)
    assert made.maps is not None
    assert made.maps.names == ("carrier", "particles")
    assert all(one.kind == "counts" and one.data.dtype == np.uint16 for one in made.maps)
    total = sum(one.data.astype(float) for one in made.maps)
    inside = made.series.data > 0.02 * made.series.data.max()
    assert total[inside].mean() == pytest.approx(0.5, rel=0.05)
    assert total[~inside].sum() < 0.01 * total.sum()


def test_what_it_rejects():
    with pytest.raises(ParameterError, match="cube"):
        particles("cube")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="32"):
        particles(shape=(16, 64))
    with pytest.raises(ParameterError, match="negative"):
        particles(pedestal=-0.1)


@pytest.fixture(scope="module")
def made():
    return particles(shape=(64, 64), misalignment=Misalignment(5, 2, 3, 4), seed=2)


def moved(truth: Alignment, change) -> Alignment:
    return truth.replace(matrices=affine.compose(truth.matrices, change))


def test_the_truth_has_no_error(made):
    error = alignment_error(made.truth, made.truth, made.positions)
    assert error.rms_px < 1e-9
    assert error.angle_deg == 0


def test_a_sample_that_is_placed_elsewhere_is_no_error(made):
    tilts = np.deg2rad(made.truth.tilts_deg)
    change = affine.translation(np.full(77, 3.3), 5 * np.cos(tilts) - 4 * np.sin(tilts))
    assert alignment_error(made.truth, moved(made.truth, change), made.positions).rms_px < 1e-6


def test_whatever_else_is_an_error(made):
    rng = np.random.default_rng(0)
    shake = affine.translation(*rng.normal(0, 0.1, (2, 77)))
    error = alignment_error(made.truth, moved(made.truth, shake), made.positions)
    assert error.rms_px == pytest.approx(0.1 * np.sqrt(2), rel=0.1)
    assert np.sqrt((error.per_tilt_px**2).mean()) == pytest.approx(error.rms_px)
    # An offset of the axis is not a place of the sample; what a + b cos t can do about it is little.
    off = alignment_error(made.truth, moved(made.truth, affine.translation(0.0, 1.0)), made.positions)
    assert 0.1 < off.rms_px < 1
    turned = moved(made.truth, affine.rotation(1.0, affine.centre((64, 64))))
    error = alignment_error(made.truth, turned, made.positions)
    assert error.angle_deg == pytest.approx(1.0)
    assert error.rms_px > 0.02


def test_the_measure_needs_the_same_tilts(made):
    with pytest.raises(DataError, match="same tilts"):
        alignment_error(made.truth, made.truth.replace(tilts_deg=made.truth.tilts_deg + 1), made.positions)
