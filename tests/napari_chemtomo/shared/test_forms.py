"""Forms say what the models say, and give back what they show."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field
from qtpy.QtWidgets import QFormLayout, QWidget

from chemtomo.errors import ParameterError
from chemtomo.parameters import Parameters, Range
from chemtomo.pipeline import STEPS
from chemtomo.recon import ReconstructParameters
from napari_chemtomo.shared.editors import FloatEditor, RangeEditor
from napari_chemtomo.shared.forms import ParameterForm


class Everything(Parameters):
    """One field of each type that a form can show."""

    choice: Literal["a", "b"] = Field("b", title="Choice", description="One of two.")
    number: Literal[2, 3] = Field(3, title="Number")
    flag: bool = Field(True, title="Flag")
    count: int = Field(5, ge=2, lt=9, title="Count")
    weight: float = Field(0.5, gt=0, le=1, title="Weight", description="A share.")
    text: str = Field("x", title="Text")
    part: Range | None = Field(None, title="Part")
    crop: Literal["auto", "none"] | Range = Field("auto", title="Crop")
    limit: int | None = Field(None, ge=1, title="Limit")
    tolerance: float | None = Field(None, gt=0, title="Tolerance")
    note: str | None = Field(None, title="Note")


OTHER_VALUES = {
    "choice": "a",
    "number": 2,
    "flag": False,
    "count": 7,
    "weight": 0.0005,
    "text": "y",
    "part": (2, 6),
    "crop": (0, 4),
    "limit": 12,
    "tolerance": 1e-4,
    "note": "hello",
}


@pytest.fixture
def make_form(qtbot):
    """Make forms that are shown in windows of their own."""
    windows = []

    def make(model, **options):
        made = ParameterForm(model, **options)
        window = QWidget()
        qtbot.addWidget(window)
        windows.append(window)
        made.place(made.names, QFormLayout(window))
        return made

    yield make
    windows.clear()


@pytest.fixture
def form(make_form):
    return make_form(Everything)


def test_a_form_shows_the_defaults_of_its_model(form):
    assert form.parameters() == Everything()


def test_a_form_gives_back_what_it_was_given(form):
    form.set_values(OTHER_VALUES)
    assert form.values() == OTHER_VALUES
    assert form.parameters() == Everything(**OTHER_VALUES)


@pytest.mark.parametrize("name", list(Everything.model_fields))
def test_every_editor_tells_of_a_change(form, qtbot, name):
    with qtbot.waitSignal(form.changed):
        form.set_values({name: OTHER_VALUES[name]})


def test_reset_shows_the_defaults_again(form):
    form.set_values(OTHER_VALUES)
    form.reset()
    assert form.parameters() == Everything()


@pytest.mark.parametrize(("name", "bounds"), [("count", (2, 8)), ("weight", (1e-7, 1))])
def test_bounds_are_those_of_the_model(form, name, bounds):
    editor = form.editors[name]
    assert (editor.minimum(), editor.maximum()) == pytest.approx(bounds, rel=1e-6)


def test_labels_and_help_are_those_of_the_model(form):
    layout = form.editors["choice"].parent().layout()
    assert layout.labelForField(form.editors["choice"]).text() == "Choice"
    assert form.editors["choice"].toolTip() == "One of two."
    assert layout.labelForField(form.editors["weight"]).toolTip() == "A share."


@pytest.mark.parametrize("model", [step.model for step in STEPS.values()])
def test_the_models_of_the_pipeline_have_forms(make_form, model):
    form = make_form(model, exclude=("mu",))

    assert form.parameters() == model()
    assert set(form.names) | {"mu"} == set(model.offered()) | {"mu"}
    assert all(editor.toolTip() for editor in form.editors.values())


def test_a_value_that_is_not_allowed_names_its_field(make_form):
    form = make_form(ReconstructParameters, exclude=("mu",))

    with pytest.raises(ParameterError, match=r"Weights: .*greater than 0, found -1"):
        form.parameters(mu={"Al": -1.0})
    form.set_values({"slices": (3, 3)})
    with pytest.raises(ParameterError, match="slices: found 3:3"):
        form.parameters()


def test_numbers_are_written_short_and_kept_exact(qtbot):
    editor = FloatEditor(0.0, 1e6)
    qtbot.addWidget(editor)
    for value, text in ((4.0, "4"), (0.0005, "0.0005"), (120.0, "120"), (1e-7, "0.0000001")):
        editor.set(value)
        assert editor.get() == pytest.approx(value, rel=1e-12)
        assert editor.text() == text


def test_a_range_follows_its_bounds(qtbot):
    editor = RangeEditor({"all": None})
    qtbot.addWidget(editor)
    editor.set_bounds(10)
    assert editor.get() is None

    editor.choice.setCurrentText("range")
    assert editor.get() == (0, 10)
    editor.set_bounds(20)
    assert editor.get() == (0, 20)
    editor.set((5, 15))
    editor.set_bounds(12)
    assert editor.get() == (5, 12)
    editor.set(None)
    assert editor.get() is None
