import numpy as np
import pytest
from scipy import ndimage

from chemtomo.align import auto, isolated, warnings_of
from chemtomo.data import TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.samples import Misalignment, alignment_error, particles, specimen_series

TILTS = np.arange(-75.0, 76.0, 5.0)


@pytest.fixture(scope="module")
def made():
    return particles(
        shape=(72, 72),
        tilts_deg=TILTS,
        misalignment=Misalignment(4, 0, 2, 1.5),
        seed=5,
        dose=500,
        pedestal=0.1,
    )


def test_one_call_aligns(made):
    found = auto(made.series)
    error = alignment_error(made.truth, found, made.positions)
    assert error.rms_px < 0.2
    assert abs(error.angle_deg) < 0.3
    assert found.method == "auto"
    entry = found.provenance[-1]
    scores = entry["noise over signal"]
    assert set(scores) >= {"as recorded", "center_of_mass", "phase_correlation", "projection_matching"}
    assert {entry["coarse"], entry["final"]} <= set(scores)
    assert scores[entry["final"]] < scores["as recorded"]
    assert entry["specimen"] == "isolated"
    assert min(entry["held-out error"].values()) > 0


def test_the_type_of_the_values_makes_no_difference(made):
    """Cameras write signed integers over their whole range, which the type itself cannot hold."""
    values = made.series.values().astype(np.float64)
    low, high = values.min(), values.max()
    whole = np.rint((values - low) * (65000 / (high - low)) - 32500)
    assert np.ptp(whole.astype(np.int16)) < 0
    found = [auto(made.series.replace(data=whole.astype(dtype))) for dtype in (np.int16, np.float32)]
    np.testing.assert_array_equal(found[0].matrices, found[1].matrices)


@pytest.mark.parametrize(("sample", "angle"), [("sphere", 2.0), ("sphere", 87.0), ("needle", 88.0)])
def test_the_axis_is_found_along_y_or_x_without_a_hint(sample, angle):
    made = particles(
        sample, shape=(72, 72), tilts_deg=TILTS, misalignment=Misalignment(3, 0, angle, 1.5), seed=2
    )
    found = auto(made.series)
    error = alignment_error(made.truth, found, made.positions)
    assert abs(error.angle_deg) < 0.5
    assert error.rms_px < 0.2
    assert found.provenance[-1]["axis direction"]["margin"] > 1


def test_an_angle_at_the_limit_of_its_search_is_where_to_look_next():
    made = particles(shape=(72, 72), tilts_deg=TILTS, misalignment=Misalignment(2, 0, 24.0, 1.0), seed=3)
    found = auto(made.series)
    assert abs(alignment_error(made.truth, found, made.positions).angle_deg) < 0.5


def test_a_specimen_wider_than_the_field_is_followed_by_its_patches():
    made = specimen_series(
        "film",
        shape=(96, 96),
        tilts_deg=np.linspace(-60, 60, 25),
        misalignment=Misalignment(3, 0, 2, 2),
        seed=1,
    )
    found = auto(made.series)
    entry = found.provenance[-1]
    assert entry["final"] in ("patch_tracks", "slab_matching")
    assert entry["specimen"] == "film"
    assert set(entry["held-out error"]) == {"patch_tracks", "slab_matching"}
    assert alignment_error(made.truth, found, made.positions).rms_px < 0.3


def test_the_specimen_can_be_told(made):
    with pytest.raises(ParameterError, match="sponge"):
        auto(made.series, specimen="sponge")
    found = auto(made.series, specimen="needle")
    assert found.provenance[-1]["specimen"] == "needle"


def test_where_one_way_fails_the_other_one_has_the_answer(made):
    """Five pixels of structure are no patches: a sphere that is told to be a film is aligned all the same."""
    smooth = made.series.replace(data=ndimage.gaussian_filter(made.series.data, (0, 6, 6)))
    found = auto(smooth, specimen="film")
    assert np.isfinite(found.matrices).all()


def test_no_result_depends_on_the_order_of_the_tilts(made):
    order = np.random.default_rng(1).permutation(TILTS.size)
    shuffled = made.series.replace(data=made.series.data[order], tilts_deg=TILTS[order])
    one, two = auto(made.series), auto(shuffled)
    assert two.matrices == pytest.approx(one.matrices[order], abs=1e-9)
    assert two.tilts_deg.tolist() == TILTS[order].tolist()


def test_shifts_along_a_bar_are_not_determined_and_stay_zero():
    """Nothing varies along y."""
    tilts = np.deg2rad(TILTS)[:, np.newaxis]
    x = np.arange(64) - 31.5
    profile = np.zeros((TILTS.size, 64))
    for place, width, height in ((-8.0, 5.0, 1.0), (5.0, 3.0, 2.0), (11.0, 2.0, 1.5)):
        path = place * np.cos(tilts) + 4 * np.sin(tilts)
        profile += height * np.exp(-((x - path) ** 2) / width**2)
    noise = np.random.default_rng(0).normal(0, 0.02, (TILTS.size, 48, 64))
    data = (profile[:, np.newaxis] + noise).astype(np.float32)
    found = auto(TiltSeries("HAADF", data, TILTS))
    assert np.abs(found.shifts_px()[:, 0]).max() < 0.05
    assert "shifts along the tilt axis" in found.provenance[-1]["not determined"]
    assert any("shifts along the tilt axis" in one for one in warnings_of(found))


@pytest.mark.parametrize(("sample", "dose"), [("sphere", None), ("sphere", 60.0), ("needle", None)])
def test_the_standard_error_holds(sample, dose):
    """At most two times below the true error."""
    made = particles(
        sample, shape=(72, 72), tilts_deg=TILTS, misalignment=Misalignment(3, 0, 2, 1.5), seed=4, dose=dose
    )
    found = auto(made.series)
    said = np.sqrt(np.nanmean(found.residual_px**2))
    assert alignment_error(made.truth, found, made.positions).rms_px < 2 * said


@pytest.mark.parametrize(("sample", "most_px"), [("sphere", 0.1), ("needle", 0.1), ("slab", 0.7)])
def test_samples_of_all_shapes(sample, most_px):
    """A slab is wider than the field: other parts of it are seen at every tilt."""
    made = particles(sample, shape=(72, 72), tilts_deg=TILTS, misalignment=Misalignment(3, 0, 2, 1.5), seed=2)
    error = alignment_error(made.truth, auto(made.series), made.positions)
    assert error.rms_px < most_px


def test_a_tilt_axis_far_from_y_is_found_from_near_it():
    from chemtomo.align import current, set_axis

    made = particles(
        shape=(72, 72), tilts_deg=TILTS, misalignment=Misalignment(2, 0, 84.0, 1.0), dose=2000, seed=3
    )
    found = auto(made.series, set_axis(current(made.series), 90.0, 0.0))
    error = alignment_error(made.truth, found, made.positions)
    assert abs(error.angle_deg) < 0.5
    assert error.rms_px < 0.2


def test_an_estimator_that_fails_is_left_out_and_named(made, monkeypatch):
    def broken(series, alignment):
        raise DataError("no mass")

    monkeypatch.setitem(isolated._REGISTRATIONS, "center_of_mass", broken)
    found = auto(made.series)
    assert found.provenance[-1]["noise over signal"]["center_of_mass"] == "failed: no mass"
    assert alignment_error(made.truth, found, made.positions).rms_px < 0.2


def test_cancelling_returns_the_best_so_far(made):
    found = auto(made.series, should_stop=lambda: True)
    assert found.provenance[-1]["final"] == "as recorded"
    assert len(found.matrices) == len(TILTS)
