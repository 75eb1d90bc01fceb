"""Recipes: TOML and back for every step, and what is refused."""

from __future__ import annotations

import tomllib
import typing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from chemtomo.errors import ParameterError, ReadError
from chemtomo.parameters import Range
from chemtomo.pipeline import STEPS, Entry, Input, Recipe, Signal
from chemtomo.pipeline.recipes.recipe import with_settings
from chemtomo.pipeline.recipes.toml import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PLAIN = st.one_of(TEXT, st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False))
DOCUMENTS = st.dictionaries(
    TEXT,
    st.recursive(
        PLAIN,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
        max_leaves=12,
    ),
    max_size=4,
)
NUMBERS = st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=2, max_size=2)
TABLES = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "reference": TEXT,
        "tilts_deg": st.lists(st.floats(-90, 90), min_size=1, max_size=3),
        "matrices": st.lists(NUMBERS, min_size=1, max_size=2),
    }
)


@given(DOCUMENTS)
def test_toml_gives_back_the_same_values(document: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(document)) == document


def test_toml_has_no_form_for_nothing() -> None:
    with pytest.raises(TypeError, match="found None; expected text, a number"):
        to_toml({"a": None})


def values(field: FieldInfo, name: str) -> st.SearchStrategy[Any]:
    """Values of a field: of its type, and often within its bounds."""
    if name in ("alignment", "alignments"):
        return TABLES if name == "alignment" else st.dictionaries(TEXT, TABLES, max_size=2)
    if name == "windows":
        window = {"name": TEXT, "line": TEXT, "low_keV": st.floats(0, 5), "high_keV": st.floats(5, 9)}
        return st.lists(st.fixed_dictionaries(window), max_size=2)
    default = st.just(field.get_default(call_default_factory=True))
    return st.one_of(default, of_type(field.annotation))


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    if kind == Range:
        return st.tuples(st.integers(0, 50), st.integers(51, 99))
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is typing.Annotated:
        return of_type(arguments[0])
    if origin is tuple:
        return st.lists(of_type(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXT, st.floats(0.01, 9), max_size=2)
    if arguments:
        return st.one_of(*(of_type(one) for one in arguments))
    plain: dict[Any, st.SearchStrategy[Any]] = {
        type(None): st.none(),
        bool: st.booleans(),
        int: st.integers(1, 64),
        float: st.floats(0.3, 60),
        str: TEXT,
    }
    return plain[kind]


@pytest.mark.parametrize("name", list(STEPS))
@given(data=st.data())
def test_every_step_survives_toml(name: str, data: st.DataObject) -> None:
    model = STEPS[name].model
    fields = {key: values(field, key) for key, field in model.model_fields.items()}
    chosen = data.draw(st.fixed_dictionaries({}, optional=fields))
    try:
        entry = Entry(name, model.model_validate(chosen))
    except ValidationError:
        return  # values that do not go together
    recipe = Recipe((), (entry,), "1.2", "a device")
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    assert set(entry.to_json()) - {"step"} <= set(chosen)


@pytest.mark.parametrize("name", list(STEPS))
def test_only_what_differs_from_the_defaults_is_kept(name: str) -> None:
    try:
        entry = Entry.of(name, {})
    except ParameterError:
        pytest.fail("a step needs defaults")
    assert entry.to_json() == {"step": name}


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    inside = tmp_path / "data"
    given_input = Input(
        paths=(str(inside / "a.mrc"),),
        tilts=str(tmp_path / "tilts.txt"),
        signals=(Signal(name="A", sha256="0"),),
    )
    recipe = Recipe((given_input,), ())
    recipe.save(tmp_path / "recipe.toml")
    text = (tmp_path / "recipe.toml").read_text(encoding="utf-8")
    assert 'paths = ["data/a.mrc"]' in text
    assert 'tilts = "./tilts.txt"' in text
    assert Recipe.load(tmp_path / "recipe.toml") == recipe
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "recipe.toml").write_text(text, encoding="utf-8")
    assert Recipe.load(moved / "recipe.toml").inputs[0].paths == (str(moved / "data" / "a.mrc"),)


@pytest.mark.parametrize("tilts", ["-60:2:61", "names", (1.0, 2.5)])
def test_other_tilts_stay_as_they_were_given(tmp_path: Path, tilts: Any) -> None:
    recipe = Recipe((Input(paths=(str(tmp_path / "a.mrc"),), tilts=tilts),), ())
    recipe.save(tmp_path / "recipe.toml")
    assert Recipe.load(tmp_path / "recipe.toml").inputs[0].tilts == tilts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps = ", "found no TOML"),
        ("", "found a recipe of version None; expected 1 at most"),
        ('version = 2\nprogram = "9.1"', "found a recipe of version 2, of the program 9.1; expected 1"),
        ("version = 1\nsharpen = 3", "found the keys 'sharpen'; expected version, program"),
        (
            'version = 1\n[[steps]]\nstep = "sharpen"',
            "step 1: found the step 'sharpen'; expected one of maps",
        ),
        ('version = 1\n[[steps]]\nstep = "bin"\nfaktor = 2', "step 1: bin: faktor: .*; found 2"),
        ('version = 1\n[[steps]]\nstep = "bin"\nfactor = 0', "step 1: bin: factor: .*; found 0"),
        ("version = 1\n[[steps]]\nfactor = 0", "step 1: found the step None"),
        ("version = 1\nsteps = 3", "steps: found 3; expected a list"),
        ('version = 1\n[[inputs]]\npath = "a"', "input 1: path: .*; found 'a'"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReadError, match=rf"recipe\.toml: {said}"):
        Recipe.load(path)


def test_a_recipe_that_is_not_there() -> None:
    with pytest.raises(ReadError, match=r"nowhere\.toml: cannot be read"):
        Recipe.load("nowhere.toml")


def test_settings_change_one_parameter() -> None:
    recipe = Recipe((), (Entry.of("bin", {}), Entry.of("reconstruct", {"strength": 2.0, "mu": {"Al": 1.0}})))
    settings = [
        ("reconstruct.strength", "3"),
        ("reconstruct.mu.Si", "0.5"),
        ("reconstruct.slices", "4:9"),
        ("bin.channels", "Al,Si"),
    ]
    changed = with_settings(recipe, settings)
    assert changed.steps[1].to_json() == {
        "step": "reconstruct",
        "strength": 3.0,
        "mu": {"Al": 1.0, "Si": 0.5},
        "slices": [4, 9],
    }
    assert changed.steps[0].to_json() == {"step": "bin", "channels": ["Al", "Si"]}
    assert recipe.steps[0].to_json() == {"step": "bin"}


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("crop.x", "1:2", "found 0 steps 'crop' among bin, bin, reconstruct; expected one"),
        ("bin.factor", "2", "found 2 steps 'bin'"),
        ("reconstruct.power", "2", "found no|has no 'power'; expected one of method"),
        ("reconstruct.strength", "-1", "reconstruct: strength: .*; found '-1'"),
        ("reconstruct", "1", "as STEP.PARAMETER"),
    ],
)
def test_settings_that_are_refused(place: str, value: str, said: str) -> None:
    recipe = Recipe((), (Entry.of("bin", {}), Entry.of("bin", {}), Entry.of("reconstruct", {})))
    with pytest.raises(ParameterError, match=said):
        with_settings(recipe, [(place, value)])
