import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemtomo.data import Dataset, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.io import read
from chemtomo.preprocess import clip_negative, equalise_brightness, scale_percentiles, threshold
from chemtomo.preprocess.values.intensity import PublishedScaling


def series(data, **changes):
    data = np.asarray(data)
    data.setflags(write=False)  # a step that wrote to its input would fail
    return TiltSeries("Al", data, np.arange(len(data)), **changes)


def some(seed, dtype=np.float32, shape=(5, 6, 7)):
    return np.random.default_rng(seed).gamma(2.0, 50.0, shape).astype(dtype)


STEPS = {
    "clip_negative": clip_negative,
    "equalise_brightness": equalise_brightness,
    "scale_percentiles": lambda one: scale_percentiles(one, 1, 98),
    "threshold": lambda one: threshold(one, 0.05),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_recorded_and_changes_only_values(name):
    given_series = series(some(0), pixel_size_nm=2.5, provenance=({"step": "before"},))
    done = STEPS[name](given_series)
    assert [entry["step"] for entry in done.provenance] == ["before", name]
    assert done.shape == given_series.shape
    assert done.pixel_size_nm == 2.5
    assert done.data.dtype == np.float32


@pytest.mark.parametrize("name", STEPS)
def test_a_step_refuses_values_that_are_not_finite(name):
    data = some(0)
    data[1, 2, 3] = np.inf
    with pytest.raises(DataError, match=r"not finite.*\(1, 2, 3\)"):
        STEPS[name](series(data))


@given(seed=st.integers(0, 1000), dtype=st.sampled_from([np.float32, np.uint16, np.float64]))
def test_equalised_projections_have_the_mean_of_the_means(seed, dtype):
    data = some(seed, dtype)
    done = equalise_brightness(series(data)).data
    assert done.mean(axis=(1, 2), dtype=float) == pytest.approx(data.mean(axis=(1, 2)).mean(), rel=1e-6)


@given(seed=st.integers(0, 1000), factors=st.lists(st.floats(0.1, 10), min_size=5, max_size=5))
def test_brightness_that_drifts_is_undone(seed, factors):
    data = some(seed, np.float64)
    drifting = data * np.array(factors)[:, None, None]
    steady, found = (equalise_brightness(series(one)).data for one in (data, drifting))
    assert found / found.mean() == pytest.approx(steady / steady.mean(), rel=1e-5)


def test_equalising_makes_intensities_of_counts():
    done = equalise_brightness(series(some(3, np.uint16), kind="counts"))
    assert done.kind == "intensity"
    assert done.data.dtype == np.float32


def test_an_empty_projection_cannot_be_equalised():
    data = some(0)
    data[3] = 0
    with pytest.raises(DataError, match=r"projection 3 \(tilt 3 degrees\) has the mean 0"):
        equalise_brightness(series(data))


@given(
    seed=st.integers(0, 1000),
    low=st.floats(0, 40),
    high=st.floats(60, 100),
    gain=st.floats(0.01, 100),
    offset=st.floats(-100, 100),
)
def test_percentiles_become_zero_and_one_whatever_gain_and_offset(seed, low, high, gain, offset):
    data = some(seed, np.float64)
    done = scale_percentiles(series(gain * data + offset), low, high)
    assert np.percentile(done.data.astype(float), [low, high]) == pytest.approx([0, 1], abs=1e-6)
    plain = scale_percentiles(series(data), low, high)
    assert done.data == pytest.approx(plain.data, abs=1e-4)
    assert done.kind == "intensity"


def test_percentiles_are_of_the_whole_stack():
    data = some(0)
    data[0] *= 10
    done = scale_percentiles(series(data), 0, 100).data
    assert done.min() == 0
    assert done[1:].max() < 1 == done[0].max()


@pytest.mark.parametrize(("low", "high"), [(50, 50), (98, 1), (-1, 98), (1, 101)])
def test_percentiles_out_of_order_are_refused(low, high):
    with pytest.raises(ParameterError, match="expected 0 <= low < high <= 100"):
        scale_percentiles(series(some(0)), low, high)


def test_percentiles_that_agree_are_refused():
    data = np.zeros((5, 6, 7), np.uint16)
    data[0, 0, 0] = 9
    with pytest.raises(DataError, match="percentiles 1 and 98 are both 0"):
        scale_percentiles(series(data), 1, 98)


@given(seed=st.integers(0, 1000), level=st.floats(-50, 200))
def test_threshold_keeps_what_is_not_below(seed, level):
    data = some(seed) - np.float32(50)
    done = threshold(series(data), level).data
    assert (done[data >= level] == data[data >= level]).all()
    assert (done[data < level] == 0).all()


def test_threshold_keeps_the_type():
    done = threshold(series(some(1, np.uint16), kind="counts"), 30)
    assert done.data.dtype == np.uint16
    assert done.kind == "counts"
    assert done.provenance == ({"step": "threshold", "level": 30},)


@given(seed=st.integers(0, 1000))
def test_clipping_is_a_projection(seed):
    data = some(seed) - np.float32(90)
    once = clip_negative(series(data))
    assert once.data.min() == 0
    assert (once.data[data > 0] == data[data > 0]).all()
    assert (clip_negative(once).data == once.data).all()


def test_published_scaling_does_not_see_gain_or_drift():
    data = some(4, np.float64)
    drift = np.linspace(0.5, 2, 5)[:, None, None]
    dataset = Dataset((series(data),))
    other = Dataset((series(7 * drift * data),))
    one, two = (PublishedScaling().apply(this).series[0] for this in (dataset, other))
    assert one.data == pytest.approx(two.data, abs=1e-5)
    (record,) = one.provenance
    assert [entry["step"] for entry in record["did"]] == [
        "equalise_brightness",
        "scale_percentiles",
        "threshold",
    ]


def test_paper_gives_the_published_projections(data_folder):
    names = ("HAADF_lrsino", "Yb_EDXsino", "Al_EDXsino", "Si_EDXsino")
    dataset = read([data_folder / "phantom" / f"{name}.mrc" for name in names])
    done = PublishedScaling().apply(dataset)
    published = np.load(data_folder / "reference" / "C_sino_CAZX_f32.npy")
    for one, expected in zip(done, published, strict=True):
        found = one.data[:, 20, 65:368]
        assert np.array_equal(found == 0, expected[:, 0] == 0)
        np.testing.assert_allclose(found, expected[:, 0], rtol=3e-7, atol=3e-7)
        assert one.kind == "intensity"
