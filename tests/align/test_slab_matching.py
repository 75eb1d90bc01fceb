"""Projection matching of layers that fill the field."""

import numpy as np
import pytest

from chemtomo.align.matching.slab_consistency import SlabConsistency
from chemtomo.align.matching.slab_matching import Layer, slab_held_out, slab_matching
from chemtomo.errors import DataError
from chemtomo.geometry import affine
from chemtomo.samples import Misalignment, alignment_error, specimen_series

TILTS = np.linspace(-60.0, 60.0, 31)
LAYER = Layer(24.0)


@pytest.fixture(scope="module")
def lamella():
    return specimen_series(
        "lamella",
        shape=(96, 96),
        tilts_deg=TILTS,
        thickness_px=30,
        misalignment=Misalignment(3, 0, 2, 2),
        seed=4,
    )


def off(truth, seed=0, shifts_px=0.8, turn_deg=0.4):
    """The truth, out of alignment by smooth and by random shifts, and by an angle."""
    rng = np.random.default_rng(seed)
    smooth = np.sin(np.deg2rad(3 * TILTS))[:, np.newaxis] * rng.normal(0, shifts_px, 2)
    moved = affine.translation(*(smooth + rng.normal(0, shifts_px / 3, (TILTS.size, 2))).T)
    turned = affine.rotation(turn_deg, affine.centre(truth.shape))
    return truth.replace(
        matrices=affine.compose(affine.compose(truth.matrices, moved), turned),
        axis_angle_deg=truth.axis_angle_deg + turn_deg,
        residual_px=np.full(TILTS.size, 9.0),
    )


@pytest.fixture(scope="module")
def refined(lamella):
    return slab_matching(lamella.series, off(lamella.truth), LAYER)


def test_a_lamella_is_aligned_and_the_errors_hold(lamella, refined):
    before = alignment_error(lamella.truth, off(lamella.truth), lamella.positions)
    after = alignment_error(lamella.truth, refined, lamella.positions)
    assert after.rms_px < 0.2 < 0.3 < before.rms_px
    assert abs(after.angle_deg) < 0.15
    said = np.sqrt(np.mean(refined.residual_px**2))
    assert after.rms_px < 2 * said < 1.0
    entry = refined.provenance[-1]
    assert abs(after.angle_deg) < 3 * entry["angle error, deg"] < 1.0
    assert refined.axis_angle_deg == pytest.approx(2.0 + after.angle_deg, abs=1e-6)
    assert 20 < entry["thickness_px"] < 45


def test_held_out_projections_are_predicted_better_the_better_the_alignment(lamella):
    alignments = [lamella.truth, *(off(lamella.truth, 1, size, 0.0) for size in (0.5, 1.5))]
    errors = slab_held_out(lamella.series, alignments, Layer(30.0)).mean(axis=1)
    assert np.all(np.diff(errors) > 0)


def test_a_projection_that_shows_nothing_keeps_its_place(lamella):
    data = np.array(lamella.series.data)
    data[7] = 3.0
    start = off(lamella.truth)
    found = slab_matching(lamella.series.replace(data=data), start, LAYER, should_stop=lambda: True)
    assert found.residual_px[7] == 9.0
    turn = affine.rotation(found.axis_angle_deg - start.axis_angle_deg, affine.centre(start.shape))
    assert found.matrices[7] == pytest.approx(affine.compose(start.matrices[7:8], turn)[0])


def test_too_few_tilts_are_refused(lamella):
    few = np.arange(4)
    series = lamella.series.replace(data=np.asarray(lamella.series.data)[few], tilts_deg=TILTS[few])
    start = lamella.truth.replace(matrices=lamella.truth.matrices[few], tilts_deg=TILTS[few])
    with pytest.raises(DataError, match="tilts at which the layer"):
        slab_matching(series, start, LAYER)


def test_the_likelihood_knows_the_thickness():
    """White noise in a layer, each depth moved by the tangent of the tilt."""
    rng = np.random.default_rng(3)
    tilts, width, rows, thickness = np.linspace(-50, 50, 21), 96, 24, 16
    spectrum = np.fft.rfft(rng.normal(size=(rows, 4 * width, thickness)), axis=1)
    k = np.fft.rfftfreq(4 * width)[:, np.newaxis]
    depths = np.arange(thickness) - (thickness - 1) / 2
    images = []
    for tilt in np.deg2rad(tilts):
        moved = spectrum * np.exp(-2j * np.pi * k * depths * np.tan(tilt))
        images.append(np.fft.irfft(moved.sum(axis=2), axis=1)[:, width : 2 * width])
    window = np.hanning(width)
    values = (np.array(images) * window).astype(np.float32)
    likelihoods = {
        one: SlabConsistency(tilts, one, window, 0.2).log_likelihood(values) for one in (4, 8, 16, 32, 64)
    }
    assert max(likelihoods, key=likelihoods.get) == 16
