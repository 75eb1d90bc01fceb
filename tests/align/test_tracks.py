import numpy as np
import pytest

from chemtomo.align import patch_tracks, warnings_of
from chemtomo.align.tracks.bundle import adjust
from chemtomo.align.tracks.distortion import KINDS, Distortion, adjust_with_distortion, distorted, told_of
from chemtomo.align.tracks.patches import Observations, band_passed, follow
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError
from chemtomo.geometry import affine
from chemtomo.progress import finish
from chemtomo.samples import Misalignment, alignment_error, specimen_series

TILTS = np.linspace(-70.0, 70.0, 29)
MIDDLE = np.array([40.0, 45.0])


def observed(angle_deg=3.0, noise=0.0, lost=0.0, seed=0, tilts_deg=TILTS):
    """Tracks of random points that are seen exactly, or nearly, and the shifts."""
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(-8, 8, 60), rng.uniform(-35, 35, (60, 2))])
    shifts = rng.uniform(-5, 5, (tilts_deg.size, 2))
    track, tilt = np.divmod(np.arange(60 * tilts_deg.size), tilts_deg.size)
    radians, angle = np.deg2rad(tilts_deg), np.deg2rad(angle_deg)
    z, y, x = points[track].T
    across = x * np.cos(radians[tilt]) + z * np.sin(radians[tilt])
    seen = (
        MIDDLE
        + shifts[tilt]
        + np.outer(y, [np.cos(angle), np.sin(angle)])
        + np.outer(across, [-np.sin(angle), np.cos(angle)])
    )
    seen = seen + rng.normal(0, noise, seen.shape) if noise else seen
    wrong = rng.random(len(seen)) < lost
    seen[wrong] += rng.uniform(-20, 20, (int(wrong.sum()), 2))
    roots = np.tile(np.eye(2) / max(noise, 0.05), (len(seen), 1, 1))
    return Observations(track, tilt, seen, roots), shifts


def free_of_gauge(shifts, tilts_deg, angle_deg):
    tilts, angle = np.deg2rad(tilts_deg), np.deg2rad(angle_deg)
    along, across = shifts @ [np.cos(angle), np.sin(angle)], shifts @ [-np.sin(angle), np.cos(angle)]
    waves = np.stack([np.cos(tilts), np.sin(tilts)], axis=1)
    return np.stack([along - along.mean(), across - waves @ np.linalg.lstsq(waves, across, rcond=None)[0]])


@pytest.mark.parametrize("lost", [0.0, 0.15])
def test_a_bundle_finds_shifts_and_angle_of_exact_tracks_whatever_some_of_them_do(lost):
    found, shifts = observed(lost=lost)
    bundle = adjust(found, TILTS, MIDDLE)
    assert bundle.angle_deg == pytest.approx(3.0, abs=0.02)
    left = free_of_gauge(bundle.shifts, TILTS, 3.0) - free_of_gauge(shifts, TILTS, 3.0)
    assert np.sqrt((left**2).mean()) < 0.02


def test_the_errors_of_a_bundle_are_those_of_independent_noise():
    ratios = []
    for seed in range(4):
        found, shifts = observed(noise=0.3, seed=seed)
        bundle = adjust(found, TILTS, MIDDLE)
        left = free_of_gauge(bundle.shifts, TILTS, 3.0) - free_of_gauge(shifts, TILTS, 3.0)
        ratios.append(np.sqrt((left**2).sum(axis=0).mean() / (bundle.errors_px**2).mean()))
    assert 0.6 < np.mean(ratios) < 1.7


def test_a_patch_is_followed_where_it_goes():
    """A film without thickness: its patches are compressed by the cosine and shifted with the projection."""
    tilts = np.arange(-20.0, 21.0, 5.0)
    made = specimen_series("film", shape=(96, 96), tilts_deg=tilts, seed=1, misalignment=Misalignment(2.0))
    shifts = made.truth.matrices[:, :, 2]
    images = band_passed(np.asarray(made.series.data), 1.0, 8.0)
    found = finish(follow(images, tilts, shifts, 4))
    assert found.tracks > 20
    middle = (np.array([96, 96]) - 1) / 2
    for track in range(found.tracks):
        mine = found.track == track
        rows = found.places[mine, 0] - shifts[found.tilt[mine], 0]
        assert np.ptp(rows) < 1.0
        across = (found.places[mine, 1] - middle[1] - shifts[found.tilt[mine], 1]) / np.cos(
            np.deg2rad(tilts[found.tilt[mine]])
        )
        assert np.ptp(across) < 8


def seen_distorted(magnification, rotation_deg, **given):
    """The same tracks, with projections that are magnified and turned about the middle of the sample."""
    found, shifts = observed(**given)
    turn = np.deg2rad(rotation_deg)[found.tilt]
    about = MIDDLE + shifts[found.tilt]
    y, x = (found.places - about).T * (1 + magnification[found.tilt])
    turned = np.stack([np.cos(turn) * y - np.sin(turn) * x, np.sin(turn) * y + np.cos(turn) * x], axis=1)
    return Observations(found.track, found.tilt, about + turned, found.roots), shifts


def test_magnification_rotation_and_tilts_are_found_where_tracks_determine_them():
    rng = np.random.default_rng(5)
    truth = {
        "magnification": rng.normal(0, 0.01, TILTS.size),
        "rotation": rng.normal(0, 0.5, TILTS.size),
        "tilt": np.where(TILTS > 0, 0.6, -0.6) + rng.normal(0, 0.2, TILTS.size),
    }
    found, _ = seen_distorted(
        truth["magnification"], truth["rotation"], noise=0.1, tilts_deg=TILTS + truth["tilt"]
    )
    before = adjust(found, TILTS, MIDDLE)
    after, distortions = adjust_with_distortion(found, TILTS, MIDDLE, before)
    for kind in KINDS:
        one = distortions[kind]
        assert one.determined
        left = one.values - (truth[kind] - truth[kind].mean())
        assert left.std() < 0.5 * truth[kind].std()
        assert left.std() < 3 * one.error
    assert np.median(after.residuals_px) < 0.7 * np.median(before.residuals_px)
    entry = {"step": "patch_tracks"} | told_of(distortions, TILTS)
    warned = warnings_of(Alignment("HAADF", TILTS, affine.identity(TILTS.size), provenance=(entry,)))
    kinds = ("The magnification differs", "The rotation differs", "The tilts seem to be wrong")
    assert [one.startswith(kind) for one, kind in zip(warned, kinds, strict=True)] == [True] * 3


def test_distortions_that_tracks_do_not_determine_are_left_out():
    found, _ = observed(noise=0.4)
    before = adjust(found, TILTS, MIDDLE)
    after, distortions = adjust_with_distortion(found, TILTS, MIDDLE, before)
    assert after is before
    for one in distortions.values():
        assert not one.determined
        assert not one.values.any()
        assert one.error > 0


def test_a_distorted_projection_is_where_its_tracks_are():
    """The maps of an alignment magnify and turn as the tracks do."""
    magnification, rotation = np.array([0.02, -0.02]), np.array([1.0, -1.0])
    rng = np.random.default_rng(0)
    places = rng.uniform(-30, 30, (5, 2))
    distortions = {
        kind: Distortion(values, 0.1, True)
        for kind, values in (("magnification", magnification), ("rotation", rotation), ("tilt", np.zeros(2)))
    }
    maps = distorted(3.0, distortions, np.arange(2), MIDDLE, 2)
    for tilt in range(2):
        turn = np.deg2rad(3.0 + rotation[tilt])
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        expected = MIDDLE + (1 + magnification[tilt]) * places @ matrix.T
        assert affine.apply(maps[tilt : tilt + 1], places + MIDDLE)[0] == pytest.approx(expected)


@pytest.fixture(scope="module")
def film():
    return specimen_series(
        "film", shape=(112, 112), tilts_deg=TILTS, seed=3, misalignment=Misalignment(4, 0, 2, 3)
    )


@pytest.fixture(scope="module")
def aligned(film):
    return patch_tracks(film.series)


def test_a_film_that_fills_the_field_is_aligned_and_the_error_is_known(film, aligned):
    error = alignment_error(film.truth, aligned, film.positions)
    assert error.rms_px < 0.3
    assert abs(error.angle_deg) < 0.5
    said = np.sqrt(np.nanmean(aligned.residual_px**2))
    assert error.rms_px < 2 * said < 3
    entry = aligned.provenance[-1]
    assert abs(error.angle_deg) < 3 * entry["angle error, deg"]
    assert max(entry["disagreement, px"].values()) < 1.0
    assert 3 < entry["thickness_px"] < 16


def test_no_result_depends_on_the_order_of_the_tilts(film, aligned):
    order = np.random.default_rng(0).permutation(TILTS.size)
    series = TiltSeries("HAADF", np.asarray(film.series.data)[order], TILTS[order])
    shuffled = patch_tracks(series)
    assert shuffled.matrices == pytest.approx(aligned.matrices[order], abs=1e-6)


def test_a_constant_projection_lies_between_its_neighbours(film):
    data = np.array(film.series.data)
    data[11] = 7.0
    found = patch_tracks(film.series.replace(data=data))
    assert np.isnan(found.residual_px[11])
    between = (found.matrices[10] + found.matrices[12]) / 2
    assert found.matrices[11] == pytest.approx(between, abs=1e-6)
    others = np.arange(TILTS.size) != 11
    assert np.isfinite(found.residual_px[others]).all()


def test_without_anything_to_follow_it_refuses():
    noise = np.random.default_rng(1).normal(size=(9, 64, 64)).astype(np.float32)
    with pytest.raises(DataError, match="patches"):
        patch_tracks(TiltSeries("HAADF", noise, np.arange(9) * 10.0))
    with pytest.raises(DataError, match="different tilts"):
        patch_tracks(TiltSeries("HAADF", noise[:2], np.arange(2) * 10.0))
