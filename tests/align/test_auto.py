import numpy as np
import pytest

from chemtomo.align import auto, automatic
from chemtomo.errors import DataError
from chemtomo.samples import Misalignment, alignment_error, particles

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

    monkeypatch.setitem(automatic._REGISTRATIONS, "center_of_mass", broken)
    found = auto(made.series)
    assert found.provenance[-1]["noise over signal"]["center_of_mass"] == "failed: no mass"
    assert alignment_error(made.truth, found, made.positions).rms_px < 0.2


def test_cancelling_returns_the_best_so_far(made):
    found = auto(made.series, should_stop=lambda: True)
    assert found.provenance[-1]["coarse"] == "as recorded"
    assert len(found.matrices) == len(TILTS)
