import dataclasses

import numpy as np
import pytest

from chemtomo.align import apply
from chemtomo.data import Alignment, Dataset, TiltSeries
from chemtomo.geometry import affine
from chemtomo.operators import Projector
from chemtomo.recon.frame import Frame
from chemtomo.samples import phantom
from chemtomo.trust.held_out import divide, misfit


@pytest.fixture(scope="module")
def frame():
    """Six slices of HAADF and three maps of counts, with gains and a background."""
    dataset = phantom((8, 48), tilts=20).map(
        lambda one: one.replace(
            gains=np.linspace(0.8, 1.2, 20), background=np.full(one.shape, 0.5, np.float32)
        )
    )
    return Frame.of(dataset, (1, 7), "none", False)


def expected(frame, image):
    projector = Projector(frame.geometry, 1, frame.slices[1] - frame.slices[0])
    projected = np.concatenate([projector.forward(image[c : c + 1]) for c in range(len(image))])
    return frame.gains[:, :, None, None] * projected + frame.backgrounds()


@pytest.mark.parametrize("number", range(4))
def test_both_parts_together_are_the_data(frame, number):
    division = divide(frame, number, seed=3)
    whole = frame.sinograms()
    fitted, held = division.fitted.sinograms(), division.held_out.sinograms()
    assert division.kinds == ("noise" if number % 2 else "tilts", "counts", "counts", "counts")
    np.testing.assert_array_equal((fitted + held)[1:], whole[1:])
    assert held[1:].sum() == pytest.approx(0.1 * whole[1:].sum(), rel=0.1)
    if number % 2:
        # Where there is signal enough for the noise not to reach below 0.
        bright = whole[0] > 100
        np.testing.assert_allclose((0.9 * fitted[0] + 0.1 * held[0])[bright], whole[0][bright], rtol=1e-4)
        return
    apart = division.fitted.valid()[0] ^ division.held_out.valid()[0]
    assert apart.all()
    assert division.held_out.valid()[0].all(axis=(1, 2)).sum() == 2


def test_both_parts_expect_the_same_volume(frame):
    """The gains and the background of a part are those with which its expectation is ``g T u + b``."""
    image = np.full((4, *frame.geometry.volume_shape), 0.1, np.float32)[:, :, None] * np.ones((6, 1))
    image = image.astype(np.float32)
    division = divide(frame, 1, seed=0)
    parts = expected(division.fitted, image) + expected(division.held_out, image)
    np.testing.assert_allclose(parts[1:], expected(frame, image)[1:], rtol=1e-5)
    np.testing.assert_allclose(expected(division.held_out, image)[0], expected(frame, image)[0], rtol=1e-5)


def test_equal_seeds_and_numbers_give_equal_parts(frame):
    one, again = (divide(frame, 1, seed=2) for _ in range(2))
    np.testing.assert_array_equal(one.fitted.sinograms(), again.fitted.sinograms())
    for number, seed in ((3, 2), (1, 4)):
        other = divide(frame, number, seed).fitted
        assert (one.fitted.sinograms() != other.sinograms()).any(axis=(1, 2, 3)).all()
    tilts, next_tilts = (divide(frame, number, seed=2).fitted.valid() for number in (0, 2))
    assert (tilts != next_tilts).any()


def test_noise_of_the_assumed_size_makes_independent_parts():
    rng = np.random.default_rng(0)
    level, noise = 1e4, 40.0
    data = rng.normal(level, np.sqrt(noise * level), (4, 40, 64)).astype(np.float32)
    frame = Frame.of(Dataset((TiltSeries("HAADF", data, [-20, 0, 20, 40]),)), None, "none", False)
    division = divide(frame, 1, seed=5)
    parts = np.stack([one.sinograms().ravel() for one in (division.fitted, division.held_out)]) - level
    variance = np.cov(parts)
    size = noise * level
    whole = frame.sinograms().ravel() - level
    np.testing.assert_allclose(0.9 * parts[0] + 0.1 * parts[1], whole, atol=0.01)
    np.testing.assert_allclose(np.diag(variance), [size / 0.9, size / 0.1], rtol=0.1)
    assert abs(variance[0, 1]) < 5 * size / np.sqrt(0.09 * data.size)


def test_the_misfit_is_least_at_the_truth_and_there_that_of_noise(frame):
    rng = np.random.default_rng(1)
    truth = np.zeros((4, *frame.geometry.volume_shape), np.float32)
    truth[:, 16:32, 18:34] = np.array([30.0, 0.5, 1.0, 2.0])[:, None, None]
    truth = np.repeat(truth[:, :, None], 6, axis=2)
    division = divide(frame, 1, seed=0)
    mean = expected(division.held_out, truth)
    counts = rng.poisson(mean).astype(np.float32)
    series = [
        one.replace(data=data if one.kind == "counts" else exact.astype(np.float32))
        for one, data, exact in zip(division.held_out.dataset, counts, mean, strict=True)
    ]
    held = dataclasses.replace(
        division, held_out=dataclasses.replace(division.held_out, dataset=Dataset(tuple(series)))
    )
    projector = Projector(frame.geometry, 1, 6)
    found = {
        factor: misfit(held, (factor * truth).astype(np.float32), projector).sum(axis=1)
        for factor in (0.7, 1.0, 1.3)
    }
    assert found[1.0].shape == (4,)
    assert (found[1.0] < found[0.7]).all()
    assert (found[1.0] < found[1.3]).all()
    assert found[1.0][0] == pytest.approx(0, abs=1e-6)


def test_pixels_that_are_not_valid_do_not_count(frame):
    division = divide(frame, 1, seed=0)
    image = np.full((4, frame.geometry.volume_shape[0], 6, frame.geometry.volume_shape[1]), 0.1, np.float32)
    projector = Projector(frame.geometry, 1, 6)

    def spoiled(value):
        spoilt = np.zeros(division.held_out.dataset.series[0].shape, bool)
        spoilt[:, :, 10] = True

        def spoil(one):
            valid = ~spoilt if one.valid is None else one.valid & ~spoilt
            return one.replace(valid=valid, data=np.where(spoilt, value, one.data).astype(np.float32))

        changed = division.held_out.dataset.map(spoil)
        return dataclasses.replace(division, held_out=dataclasses.replace(division.held_out, dataset=changed))

    found = [misfit(spoiled(value), image, projector) for value in (0, 1000)]
    np.testing.assert_array_equal(*found)


def test_counts_that_were_interpolated_are_thinned_as_recorded():
    data = np.random.default_rng(0).poisson(5.0, (6, 16, 32))
    tilts = np.linspace(-50, 50, 6)
    matrices = affine.translation(np.full(6, 0.5), np.zeros(6))
    alignment = Alignment(reference="Al", tilts_deg=tilts, matrices=matrices, shape=(16, 32))
    recorded = TiltSeries("Al", data, tilts, kind="counts", alignment=alignment)

    def prepare(dataset):
        return dataset.map(apply)

    frame = Frame.of(prepare(Dataset((recorded,))), (4, 10), "none", False)
    assert (frame.sinograms() % 1 != 0).any()
    division = divide(frame, 0, 0, {"Al": recorded}, prepare)
    assert division.kinds == ("counts",)
    together = division.fitted.sinograms() + division.held_out.sinograms()
    np.testing.assert_allclose(together, frame.sinograms(), atol=1e-5)
    assert divide(frame, 0, 0).kinds == ("tilts",)
