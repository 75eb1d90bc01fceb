import numpy as np
import pytest

from chemtomo.errors import ParameterError
from chemtomo.geometry import ParallelBeam, affine
from chemtomo.operators import Projector
from chemtomo.samples import SPECIMENS, Misalignment, specimen_series, specimen_volume
from chemtomo.samples.bodies import project, voxels
from chemtomo.samples.shapes import Cloud, Cone

SHAPE = (48, 56)
CALM = Misalignment(shifts_px=0)


def test_a_cloud_is_integrated_exactly_over_pixels_however_the_detector_is_turned():
    cloud = Cloud(np.array([[4.0, -3.0, 6.0], [-5.0, 2.0, 1.0]]), np.array([1.1, 2.5]), np.array([7.0, 3.0]))
    turned = affine.compose(affine.translation([0.3, -2], [1.7, 4]), affine.tilt_axis(33.0, 2.5, SHAPE))
    for matrices in (turned, affine.identity(2)):
        images = cloud.project([0.0, 60.0], matrices, SHAPE)
        assert images.sum(axis=(1, 2)) == pytest.approx(10.0, rel=1e-6)
        rows, columns = np.indices(SHAPE)
        middle = (np.array(SHAPE) - 1) / 2
        for image, tilt, matrix in zip(images, np.deg2rad([0.0, 60.0]), matrices, strict=True):
            z, y, x = (cloud.masses @ cloud.centres) / cloud.masses.sum()
            ideal = middle + np.array([y, x * np.cos(tilt) + z * np.sin(tilt)])
            place = matrix[:, :2] @ ideal + matrix[:, 2]
            seen = np.array([(image * rows).sum(), (image * columns).sum()]) / image.sum()
            assert seen == pytest.approx(place, abs=1e-5)


def test_a_cone_holds_its_volume_at_every_tilt():
    cone = Cone((2.0, 0.0, -3.0), 15.0, 8.0, 0.2, 0.5)
    expected = 0.5 * np.pi * (2 * 15 * 8**2 + 2 * 0.2**2 * 15**3 / 3)
    tilts = np.array([-70.0, 0.0, 40.0])
    sums = project((cone,), tilts, affine.identity(3), SHAPE).sum(axis=(1, 2))
    assert sums == pytest.approx(expected, rel=3e-3)
    assert voxels((cone,), 48, 40).sum() == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("name", SPECIMENS)
def test_the_volume_is_what_was_projected(name):
    """Where matter ends inside the field, projecting the voxels gives the series, up to one factor."""
    inside = {"ends_inside": True} if name == "grains" else {}
    tilts = np.array([-30.0, 0.0, 30.0])
    made = specimen_series(name, shape=(40, 64), tilts_deg=tilts, misalignment=CALM, seed=3, **inside)
    volume = specimen_volume(name, shape=(40, 64), seed=3, **inside)
    total = volume.data.sum(axis=0, keepdims=True)
    projector = Projector(ParallelBeam(tilts, 64, (64, 64)), 1, 40)
    images = projector.forward(total)[0]
    chosen = slice(None) if name in ("pillar", "grains") else slice(1, 2)
    one, two = images[chosen].ravel(), np.asarray(made.series.data[chosen], dtype=float).ravel()
    factor = (one @ two) / (one @ one)
    assert np.linalg.norm(two - factor * one) < 0.06 * np.linalg.norm(two)


def test_matter_lies_beyond_the_field_on_all_sides():
    for name in ("film", "lamella", "grains"):
        made = specimen_series(name, shape=(64, 64), tilts_deg=[-70.0, 0.0, 70.0], seed=1)
        image = np.asarray(made.series.data)
        for edge in (image[:, :2], image[:, -2:], image[:, :, :2], image[:, :, -2:]):
            assert (edge.mean(axis=(1, 2)) > 0.1 * image.mean(axis=(1, 2))).all()


def test_grains_that_end_inside_stay_away_from_the_edges():
    made = specimen_series(
        "grains", tilts_deg=[-70.0, 0.0, 70.0], misalignment=CALM, ends_inside=True, seed=1
    )
    image = made.series.data
    assert image.max() > 0
    for edge in (image[:, :4], image[:, -4:], image[:, :, :4], image[:, :, -4:]):
        assert edge.max() == 0


@pytest.mark.parametrize("name", SPECIMENS)
def test_seeds_truth_counts_and_noise(name):
    given = {"shape": (48, 48), "tilts_deg": [-60.0, 0.0, 60.0], "counts": 2.0, "dose": 100.0}
    first, again, other = (specimen_series(name, seed=seed, **given) for seed in (1, 1, 2))
    assert np.array_equal(first.series.data, again.series.data)
    assert not np.array_equal(first.series.data, other.series.data)
    assert first.truth.axis_angle_deg == 2.0
    assert np.ptp(first.truth.matrices[:, :, 2], axis=0).max() > 1
    assert len(first.positions) > 5
    total = sum(one.data.mean(dtype=float) for one in first.maps)
    assert total == pytest.approx(2.0, rel=0.05)
    assert first.dataset.names == ("HAADF", *first.maps.names)
    steps = first.series.data / (1000 / 100.0)
    assert np.allclose(steps, np.round(steps), atol=1e-3)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"name": "sponge"}, "sponge"),
        ({"name": "film", "shape": (16, 64)}, "16"),
        ({"name": "film", "thickness_px": 0.0}, "0"),
        ({"name": "film", "dose": -3.0}, "negative"),
    ],
)
def test_what_cannot_be_simulated_is_refused(given, found):
    with pytest.raises(ParameterError, match=found):
        specimen_series(**given)
