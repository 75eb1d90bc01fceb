import numpy as np
import pytest

from chemtomo.errors import ParameterError
from chemtomo.geometry import ParallelBeam
from chemtomo.operators import Projector
from chemtomo.samples import CHANNELS, phantom, phantom_volume

SHAPE = (6, 48)


def test_equal_seeds_give_equal_data_and_others_do_not():
    first, again, other = (phantom(SHAPE, tilts=6, seed=seed) for seed in (3, 3, 4))
    for one, same, different in zip(first, again, other, strict=True):
        assert np.array_equal(one.data, same.data)
        assert not np.array_equal(one.data, different.data)


def test_what_is_simulated():
    dataset = phantom(SHAPE, tilts=6)
    assert dataset.names == CHANNELS
    dataset.require_common_geometry()
    assert dataset.series[0].shape == (6, *SHAPE)
    assert dataset["HAADF"].tilts_deg.tolist() == [-90, -60, -30, 0, 30, 60]
    for one in dataset:
        assert one.kind == ("intensity" if one.name == "HAADF" else "counts")
        assert one.data.min() == 0
        assert one.data.max() > 3
    for name in ("Yb", "Si", "Al"):
        assert dataset[name].data.dtype == np.uint16
        assert dataset[name].data.max() < 100


def test_the_specimen_stays_away_from_the_edges_at_every_tilt():
    for one in phantom(SHAPE, tilts=18):
        occupied = np.flatnonzero((one.data > 0).any(axis=(0, 1)))
        assert occupied[0] >= 4
        assert occupied[-1] < 44


def test_signals_are_the_projections_of_the_specimen_with_their_noise():
    shape, tilts = (8, 96), 8
    dataset, truth = phantom(shape, tilts=tilts), phantom_volume(shape)
    geometry = ParallelBeam(dataset.series[0].tilts_deg, 96, (96, 96))
    expected = Projector(geometry, 4, 8).forward(truth.data)
    for one, signal in zip(dataset, expected, strict=True):
        for part in (signal >= 0, signal > signal.max() / 3):
            # Poisson: a sum of counts has its own square root for standard deviation. Beyond that, the
            # specimen is sampled more finely than the truth.
            total = signal[part].sum(dtype=float)
            found = one.data[part].sum(dtype=float)
            assert abs(found - total) < 5 * np.sqrt(total) + 0.02 * total
    counts = expected[CHANNELS.index("Al")]
    middle = counts > 0.6 * counts.max()
    variance = ((dataset["Al"].data - counts)[middle] ** 2).mean()
    assert variance == pytest.approx(counts[middle].mean(), rel=0.15)


def test_the_specimen_has_no_more_atoms_where_elements_mix():
    volume = phantom_volume((12, 64))
    pure = {"Yb": 24.0, "Si": 16.0, "Al": 30.0}
    fractions = sum(volume[name] / counts for name, counts in pure.items())
    inside = fractions > 0.999 * fractions.max()
    assert inside.mean() > 0.3
    assert (volume.data >= 0).all()
    # Where ytterbium is, the image of the whole sample is brighter and there is less aluminium.
    rich = volume["Yb"] > 0.3 * volume["Yb"].max()
    matrix = inside & (volume["Yb"] == 0)
    assert volume["HAADF"][rich & inside].mean() > 1.3 * volume["HAADF"][matrix].mean()
    assert volume["Al"][rich & inside].mean() < 0.7 * volume["Al"][matrix].mean()


def test_the_specimen_does_not_depend_on_the_sampling():
    coarse, fine = phantom_volume((8, 96)), phantom_volume((8, 192))
    assert fine.voxel_size_nm * 2 == coarse.voxel_size_nm
    # The sum over a slice is that of the projection: twice as many pixels hold twice as much.
    for one, other in zip(coarse.data, fine.data, strict=True):
        assert other.sum(dtype=float) == pytest.approx(2 * one.sum(dtype=float), rel=0.02)


@pytest.mark.parametrize(("shape", "tilts"), [((3, 48), 6), ((6, 15), 6), ((6, 48), 0)])
def test_what_is_too_small_is_refused(shape, tilts):
    with pytest.raises(ParameterError, match="expected at least"):
        phantom(shape, tilts=tilts)
