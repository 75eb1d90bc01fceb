"""The parameter models: defaults, bounds, ranges."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from chemtomo.align import AlignParameters, AxisParameters
from chemtomo.parameters import Parameters
from chemtomo.pipeline import STEPS
from chemtomo.recon import ReconstructParameters


@pytest.mark.parametrize("model", [step.model for step in STEPS.values()], ids=list(STEPS))
def test_every_parameter_has_a_default_a_title_and_help(model: type[Parameters]) -> None:
    assert model() == model.model_validate({})
    for field in model.model_fields.values():
        assert field.title
        assert field.description
        assert field.description.endswith(".")


def test_the_former_spelling_of_a_value_works_with_a_warning() -> None:
    for model in (AlignParameters, AxisParameters):
        with pytest.warns(FutureWarning, match="axis: 'sum-minimum' is now 'sharpness'"):
            assert model.model_validate({"axis": "sum-minimum"}) == model(axis="sharpness")


@pytest.mark.parametrize("given", [(3, 9), [3, 9], "3:9"])
@pytest.mark.parametrize("name", ["slices", "crop"])
def test_ranges_are_pairs_or_text(name: str, given: Any) -> None:
    assert getattr(ReconstructParameters(**{name: given}), name) == (3, 9)


@pytest.mark.parametrize(
    "changes",
    [
        {"slices": (9, 3)},
        {"slices": (3, 3)},
        {"slices": (-1, 3)},
        {"slices": "3"},
        {"slices": "a:b"},
        {"slices": (1, 2, 3)},
        {"crop": "some"},
        {"crop": (5, 2)},
        {"method": "art"},
        {"dims": 4},
        {"strength": 0},
        {"strength": float("nan")},
        {"strength": float("inf")},
        {"memory": float("inf")},
        {"mu": {"Al": 0}},
        {"mu": {"Al": float("inf")}},
        {"alpha0": -1},
        {"iterations": 0},
        {"tolerance": 1},
        {"tolerance": -0.1},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        ReconstructParameters(**changes)


def test_parameters_survive_json() -> None:
    parameters = ReconstructParameters(
        method="tv", slices=(2, 5), crop=(3, 9), mu={"Al": 0.5}, memory=1.5, tolerance=0
    )
    assert ReconstructParameters.model_validate_json(parameters.model_dump_json()) == parameters


def test_parameters_cannot_change() -> None:
    parameters = ReconstructParameters()
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        parameters.method = "tv"
