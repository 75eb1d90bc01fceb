"""A recipe as a Python script of the public functions."""

from __future__ import annotations

import pprint
from typing import Any

from chemtomo.pipeline.recipes.recipe import Entry, Input, Recipe
from chemtomo.preprocess.operation import Operation

__all__ = ["to_script"]

_HEAD = '''"""Made by ChemTomo {program} from the recipe of a result."""

import chemtomo

'''


def to_script(recipe: Recipe) -> str:
    """Return a Python script that repeats a recipe; it leaves the result in ``result`` and writes it.

    Raises
    ------
    ParameterError
        When an input was in memory only.
    """
    lines: list[str] = []
    datasets: list[str] = []
    spectra = [one for one in recipe.inputs if one.kind == "spectra"]
    for one in recipe.inputs:
        if one.kind != "spectra":
            lines += _reading(one, datasets)
    if datasets:
        series = ", ".join(f"*{name}" for name in datasets)
        lines.append(f"dataset = {datasets[0] if len(datasets) == 1 else f'chemtomo.Dataset(({series}))'}")
    result = "dataset"
    for entry in recipe.steps:
        if result.startswith("result") and isinstance(entry.parameters, Operation):
            result += f".select({list(entry.parameters.channels or ())!r})"
            continue
        new, result = _step(entry, spectra, bool(datasets))
        lines += new
        datasets = datasets or ["dataset"]
    target = "result.zarr"
    lines.append(f"chemtomo.write({result}, {target!r}, overwrite=True)")
    return _HEAD.format(program=recipe.program) + "\n".join(lines) + "\n"


def _reading(one: Input, datasets: list[str]) -> list[str]:
    name = f"input_{len(datasets) + 1}"
    datasets.append(name)
    if one.kind == "sample":
        options = {key: tuple(v) if isinstance(v, list) else v for key, v in one.options.items()}
        lines = [f"{name} = chemtomo.{one.sample}({_arguments(options)})"]
    else:
        if one.kind == "memory":
            from chemtomo.pipeline.recipes.inputs import read_again

            read_again(one)  # says why it cannot be read
        lines = [f"{name} = chemtomo.read({_read_arguments(one)})"]
    found = [signal.found or signal.name for signal in one.signals]
    if found:
        step: dict[str, Any] = {"step": "select", "channels": found}
        names = [signal.name for signal in one.signals]
        if names != found:
            step["names"] = names
        lines.append(f"{name} = chemtomo.prepare({name}, [{step!r}])")
    return lines


def _read_arguments(one: Input) -> str:
    given: dict[str, Any] = {"tilts": one.tilts, "tilts_unit": one.tilts_unit, "signal": one.signal}
    chosen = {key: value for key, value in given.items() if value is not None}
    return ", ".join(filter(None, [repr(list(one.paths)), _arguments(chosen)]))


def _step(entry: Entry, spectra: list[Input], has_series: bool) -> tuple[list[str], str]:
    """Return the lines of a step, and the name of what it makes."""
    values = entry.parameters.differing()
    if isinstance(entry.parameters, Operation):
        return [f"dataset = chemtomo.prepare(dataset, [{_value({'step': entry.step, **values})}])"], "dataset"
    if entry.step == "maps":
        lines = []
        parts = ["*dataset"] if has_series else []
        for number, one in enumerate(spectra, start=1):
            lines.append(f"spectra_{number} = chemtomo.read_spectra({_read_arguments(one)})")
            lines.append(f"maps_{number} = chemtomo.maps(spectra_{number}, {_arguments(values)})")
            parts.append(f"*maps_{number}")
        return [*lines, f"dataset = chemtomo.Dataset(({', '.join(parts)},))"], "dataset"
    if entry.step == "align":
        return [f"dataset = chemtomo.align(dataset, {_arguments(values)}).dataset"], "dataset"
    if entry.step == "use_alignment":
        return _use_alignment(values), "dataset"
    if entry.step == "apply_alignment":
        function = "aligned_view" if values.get("all_shifts") else "apply"
        return [f"from chemtomo.align import {function}", f"dataset = dataset.map({function})"], "dataset"
    return [f"result = chemtomo.reconstruct(dataset, {_arguments(values)})"], "result.volume"


def _use_alignment(values: dict[str, Any]) -> list[str]:
    lines = []
    if "alignment" in values:
        lines.append(f"alignment = chemtomo.Alignment.from_json({_value(values['alignment'])})")
        lines.append("dataset = chemtomo.link(dataset, alignment)")
    if "alignments" in values:
        lines.append(f"tables = {_value(values['alignments'])}")
        lines.append("alignments = {name: chemtomo.Alignment.from_json(one) for name, one in tables.items()}")
        lines.append("dataset = dataset.with_alignment(alignments)")
    return lines


def _arguments(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in values.items())


def _value(value: Any) -> str:
    return pprint.pformat(value, width=100, compact=True, sort_dicts=False)
