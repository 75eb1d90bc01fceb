import numpy as np
import pytest

from chemtomo.align import auto, center_of_mass, projection_matching
from chemtomo.align.matching.projection_matching import disagreement, projection_matching_job
from chemtomo.data import Alignment, TiltSeries
from chemtomo.errors import DataError, ParameterError
from chemtomo.geometry import affine
from chemtomo.samples import Misalignment, alignment_error, particles

TILTS = np.arange(-75.0, 76.0, 5.0)
SHAPE = (80, 80)


def simulate(**changes):
    given = {
        "shape": SHAPE,
        "tilts_deg": TILTS,
        "misalignment": Misalignment(1.5, 0, 3, 2),
        "seed": 3,
    } | changes
    return particles(**given)


@pytest.fixture(scope="module")
def made():
    return simulate()


@pytest.fixture(scope="module")
def found(made):
    return projection_matching(made.series)


def test_it_finds_shifts_angle_and_offset_together(made, found):
    error = alignment_error(made.truth, found, made.positions)
    before = alignment_error(made.truth, made.truth.replace(matrices=affine.identity(31)), made.positions)
    assert before.rms_px > 1
    assert error.rms_px < 0.06
    assert abs(error.angle_deg) < 0.05
    assert found.axis_angle_deg == pytest.approx(3, abs=0.05)


def test_what_it_returns(made, found):
    assert found.reference == made.series.name
    assert found.shape == SHAPE
    assert found.method == "projection_matching"
    assert found.residual_px.shape == TILTS.shape
    assert (found.residual_px > 0).all()
    assert found.residual_px.max() < 1
    assert found.provenance[-1]["step"] == "projection_matching"


def test_it_stops_by_itself_and_a_second_run_stays(made, found):
    rounds = found.provenance[-1]["rounds"]
    assert rounds[-1]["change_px"] < 0.05
    again = projection_matching(made.series, found)
    assert len(again.provenance[-1]["rounds"]) <= len(rounds)
    assert np.abs(again.matrices - found.matrices).max() < 0.1


def test_noise_and_background_cost_a_little_only():
    made = simulate(dose=100, read_noise=0.02, pedestal=0.2)
    error = alignment_error(made.truth, projection_matching(made.series), made.positions)
    assert error.rms_px < 0.25
    assert abs(error.angle_deg) < 0.4


def test_matter_that_enters_the_field_at_high_tilt_costs_little():
    made = particles(
        shape=(96, 96),
        tilts_deg=np.arange(-76.0, 77.0, 4.0),
        misalignment=Misalignment(4, 0, 2, 2),
        seed=1,
        intruder=True,
    )
    start = center_of_mass(made.series)
    before = alignment_error(made.truth, start, made.positions).rms_px
    found = projection_matching(made.series, start, rounds=4)
    assert alignment_error(made.truth, found, made.positions).rms_px < min(0.1, before / 3)


def test_cancelling_keeps_what_is_reached(made):
    asked = []

    def after_four():
        asked.append(True)
        return len(asked) >= 4

    kept = projection_matching(made.series, should_stop=after_four)
    assert len(kept.provenance[-1]["rounds"]) == 4
    assert kept.provenance[-1]["stopped"]
    before = alignment_error(made.truth, made.truth.replace(matrices=affine.identity(31)), made.positions)
    assert alignment_error(made.truth, kept, made.positions).rms_px < 0.8 * before.rms_px


def test_progress_never_goes_back(made):
    seen = [(one.done, one.total) for one in projection_matching_job(made.series, rounds=2)]
    assert seen == sorted(seen)
    assert all(0 < done <= total for done, total in seen)


def test_the_angle_is_kept_when_asked(made):
    start = made.truth.replace(matrices=made.truth.matrices)
    kept = projection_matching(made.series, start, refine_angle=False, rounds=1)
    assert affine.angles_deg(kept.matrices) == pytest.approx(affine.angles_deg(start.matrices), abs=1e-9)


def test_the_truth_agrees_better_than_what_was_recorded(made):
    as_it_is = made.truth.replace(matrices=affine.identity(31))
    assert disagreement(made.series, made.truth) < 0.5 * disagreement(made.series, as_it_is)


def test_a_constant_projection_gets_what_its_neighbours_have(made):
    data = made.series.data.copy()
    data[9] = 7
    found = projection_matching(made.series.replace(data=data), made.truth, rounds=1)
    assert np.isnan(found.residual_px[9])
    assert np.isfinite(found.residual_px[[8, 10]]).all()
    between = (found.matrices[8] + found.matrices[10]) / 2
    assert found.matrices[9] == pytest.approx(between, abs=1e-6)


def test_the_data_is_not_modified(made):
    before = made.series.data.copy()
    projection_matching(made.series, rounds=1)
    assert np.array_equal(made.series.data, before)


@pytest.mark.parametrize("method", [auto, projection_matching])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data, tilts: (data[:2], tilts[:2]), "expected at least 5"),
        (lambda data, tilts: (np.ones_like(data), tilts), "not constant"),
        (lambda data, tilts: (data, np.zeros_like(tilts)), "different tilts"),
        (lambda data, tilts: (np.where(data > 900, np.nan, data), tilts), "not finite"),
        (lambda data, tilts: (data[:, 30:50, 30:50], tilts), "pixels"),
    ],
)
def test_series_that_cannot_be_aligned(made, method, change, message):
    data, tilts = change(made.series.data, TILTS)
    with pytest.raises(DataError, match=message):
        method(TiltSeries("broken", data, tilts))


def test_starts_and_parameters_that_do_not_fit(made):
    with pytest.raises(ParameterError, match="rounds"):
        projection_matching(made.series, rounds=0)
    with pytest.raises(DataError, match="one each"):
        projection_matching(made.series, Alignment("a", [0.0], affine.identity(1)))
    with pytest.raises(DataError, match="pixels"):
        projection_matching(made.series, made.truth.replace(shape=(12, 12)))
