"""Forms say what the models say, and give back what they show."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field, PositiveFloat
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QWidget

from chemtomo.errors import ParameterError
from chemtomo.parameters import Parameters, Range, only_for
from chemtomo.pipeline import STEPS
from chemtomo.recon import ReconstructParameters
from napari_chemtomo.shared.editors import FloatEdit, RangeEdit, WordsEdit
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
    force: PositiveFloat | Literal["auto"] = Field(1.0, title="Force")


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
    "force": "auto",
}


@pytest.fixture
def make_form(qtbot):
    """Make forms that go with the test."""

    def make(model, **options):
        made = ParameterForm(model, **options)
        qtbot.addWidget(made.native)
        return made

    return make


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
def test_every_editor_tells_of_a_change(form, name):
    told = []
    form.changed.connect(lambda: told.append(form.values()[name]))
    form.fields[name].value = OTHER_VALUES[name]
    assert told
    assert told[-1] == OTHER_VALUES[name]


def test_reset_shows_the_defaults_again(form):
    form.set_values(OTHER_VALUES)
    form.reset()
    assert form.parameters() == Everything()


def test_bounds_are_those_of_the_model(form):
    assert (form["count"].min, form["count"].max) == (2, 8)
    weight = form.weight.editor
    assert (weight.minimum(), weight.maximum()) == pytest.approx((1e-7, 1), rel=1e-6)


def test_labels_and_help_are_those_of_the_model(form):
    assert form.choice.label == "Choice"
    assert form.choice.tooltip == "One of two."
    assert form.weight.tooltip == "A share."


def test_choices_have_plain_names(make_form):
    form = make_form(ReconstructParameters, exclude=("mu",))
    names = [form.data_term.native.itemText(row) for row in range(form.data_term.native.count())]
    assert "Counts (Poisson noise)" in names
    assert not {"kl", "l2", "tgv"} & set(names)


def test_a_script_sets_parameters_by_their_names(make_form):
    form = make_form(ReconstructParameters, exclude=("mu",))
    form.strength.value = 2
    form.slices.value = (3, 9)
    assert form.parameters() == ReconstructParameters(strength=2, slices=(3, 9))


class Choosing(Parameters):
    """Fields of kinds that others may add, and fields that depend on another."""

    method: Literal["none", "some"] = Field("none", title="Method")
    size: Annotated[float | Literal["auto"], only_for(method="some")] = Field("auto", title="Size")
    names: tuple[str, ...] | None = Field(None, title="Names")
    numbers: tuple[int, ...] = Field((), title="Numbers")


def test_a_number_may_be_a_word_too(make_form):
    form = make_form(Choosing)
    assert form.size.value == "auto"
    form.size.value = 0.25
    assert form.parameters().size == 0.25
    form.size.choice.value = "Auto"
    assert form.parameters() == Choosing()


def test_what_has_no_effect_is_hidden_and_keeps_its_value(make_form):
    form = make_form(Choosing)
    form.size.value = 0.5
    assert form.size.native.isHidden()
    form.method.value = "some"
    assert not form.size.native.isHidden()
    assert form.parameters().size == 0.5


def test_lists_are_written_with_commas(make_form):
    form = make_form(Choosing)
    form["names"].value = "Fe, Co"
    form.numbers.value = (3, 7)
    assert form.parameters() == Choosing(names=("Fe", "Co"), numbers=(3, 7))
    form["names"].value = ""
    assert form.parameters().names is None


def test_the_wheel_over_a_form_changes_nothing(make_form):
    form = make_form(Everything)
    form.set_values(OTHER_VALUES)
    form.native.show()
    for editor in form.native.findChildren(QWidget):
        place = QPointF(editor.rect().center())
        event = QWheelEvent(
            place,
            editor.mapToGlobal(place),
            QPoint(0, 0),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(editor, event)
    assert form.values() == OTHER_VALUES


@pytest.mark.parametrize("model", [step.model for step in STEPS.values()])
def test_the_models_of_the_pipeline_have_forms(make_form, model):
    form = make_form(model, exclude=("mu",))

    assert form.parameters() == model()
    assert set(form.names) | {"mu"} == set(model.offered()) | {"mu"}
    assert all(editor.tooltip for editor in form.fields.values())


def test_a_value_that_is_not_allowed_names_its_field(make_form):
    form = make_form(ReconstructParameters, exclude=("mu",))

    with pytest.raises(ParameterError, match=r"Weights: .*greater than 0, found -1"):
        form.parameters(mu={"Al": -1.0})
    form.set_values({"slices": (3, 3)})
    with pytest.raises(ParameterError, match="slices: found 3:3"):
        form.parameters()


def test_numbers_are_written_short_and_kept_exact(qtbot):
    edit = FloatEdit(0.0, min=0.0, max=1e6)
    qtbot.addWidget(edit.native)
    for value, text in ((4.0, "4"), (0.0005, "0.0005"), (120.0, "120"), (1e-7, "0.0000001")):
        edit.value = value
        assert edit.value == pytest.approx(value, rel=1e-12)
        assert edit.editor.text() == text


def test_bounds_of_a_range_change_only_what_was_not_chosen(qtbot):
    edit = WordsEdit(words={"All": None}, kind="Range", editor=RangeEdit())
    qtbot.addWidget(edit.native)
    edit.editor.set_bounds(10)
    assert edit.value is None

    edit.choice.value = "Range"
    assert edit.value == (0, 10)
    edit.value = (5, 15)
    edit.editor.set_bounds(12)
    assert edit.value == (5, 15)
    edit.editor.set_bounds(40)
    assert edit.value == (5, 15)
    edit.value = None
    assert edit.value is None
