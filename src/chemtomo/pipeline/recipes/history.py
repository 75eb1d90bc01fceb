"""Make the recipe of a result from the records in its provenance."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from chemtomo.data import Dataset, TiltSeries
from chemtomo.data.fingerprint import frame_digest, series_digest
from chemtomo.data.records import matches, recorded
from chemtomo.errors import ChemTomoError, ReadError
from chemtomo.pipeline.jobs.align import exact_alignments
from chemtomo.pipeline.recipes.inputs import input_of, read_again
from chemtomo.pipeline.recipes.recipe import Entry, Input, Recipe, Signal
from chemtomo.preprocess.operation import Operation
from chemtomo.preprocess.operations import OPERATIONS
from chemtomo.version import VERSION

__all__ = ["recipe_as_written", "recipe_of", "with_recipe", "with_recorded_alignments"]

_WRITTEN = "written"
_ALIGNS = ("align", "use_alignment")


class _UnknownHistoryError(Exception):
    """The data was changed by something other than a step."""


def recipe_of(dataset: Dataset) -> Recipe:
    """Return the recipe that gives a dataset.

    It begins at the files that were read, or earlier if they hold a recipe themselves. For data that was
    changed by something other than steps it begins with the data itself, in memory.
    """
    try:
        recipe = _common_recipe(dataset) or _from_records(dataset)
    except _UnknownHistoryError:
        signals = tuple(Signal(name=one.name, sha256=series_digest(one)) for one in dataset)
        recipe = Recipe((Input(kind="memory", signals=signals),), _missing_alignments(dataset, []))
    return Recipe(recipe.inputs, recipe.steps, VERSION)


def with_recipe(dataset: Dataset, *, made_from: str = "") -> Dataset:
    """Return a dataset whose provenance ends with its recipe, so that its file holds it."""
    recipe = dataclasses.replace(recipe_of(dataset), made_from=made_from).to_json()
    if any(one["kind"] == "memory" for one in recipe["inputs"] if "kind" in one):
        return dataset

    def written(one: TiltSeries) -> TiltSeries:
        record = {
            "step": _WRITTEN,
            "sha256": series_digest(one),
            "names": list(dataset.names),
            "recipe": recipe,
        }
        return one.replace(provenance=(*one.provenance, record))

    return dataset.map(written)


def recipe_as_written(dataset: Dataset) -> Recipe | None:
    """Return the recipe that the file of a dataset holds, without later steps; None for none."""
    record = _written(dataset.series[0])
    return None if record is None else Recipe.from_json(record["recipe"])


def with_recorded_alignments(dataset: Dataset) -> Dataset:
    """Return a dataset in which alignments that were not made by a step are recorded as numbers."""
    missing = {one.name for one in dataset if one.alignment is not None and not _is_recorded(one)}
    if not missing:
        return dataset
    tables = exact_alignments(dataset)

    def noted(one: TiltSeries) -> TiltSeries:
        own = {one.name: tables.alignments[one.name]}
        parameters = tables.model_copy(update={"alignments": own})
        return recorded(one, one, "use_alignment", parameters.differing())

    return dataset.map(lambda one: noted(one) if one.name in missing else one)


def _is_recorded(series: TiltSeries) -> bool:
    steps = _own_records(series)
    aligned = any(record["step"] in _ALIGNS for record in steps)
    return aligned and matches(series, steps[-1])[1]


def _own_records(series: TiltSeries) -> list[dict[str, Any]]:
    """Return the records since the series was read."""
    start = 0 if series.origin is None else series.origin.steps_before
    return list(series.provenance[start:])


def _common_recipe(dataset: Dataset) -> Recipe | None:
    """Return the recipe that the file of all series holds, and the steps after it; None for none."""
    before = [_written(one) for one in dataset]
    first = before[0]
    if first is None or any(one is None or one["recipe"] != first["recipe"] for one in before):
        return None
    for series, record in zip(dataset, before, strict=True):
        assert record is not None
        if record["sha256"] != _digest_as_read(series):
            return None  # changed by hand, or not stored by the format
    try:
        base = Recipe.from_json(first["recipe"])
    except ReadError:
        return None
    there = [one.origin.name for one in dataset if one.origin is not None]
    steps = list(base.steps)
    if there != list(first["names"]):
        steps.append(Entry.of("select", {"channels": there}))
    steps += _merged(dataset)
    return Recipe(base.inputs, tuple(_renamed(dataset, there, steps)))


def _written(series: TiltSeries) -> dict[str, Any] | None:
    if series.origin is None or series.origin.steps_before < 1:
        return None
    record = series.provenance[series.origin.steps_before - 1]
    return record if record.get("step") == _WRITTEN and "recipe" in record else None


def _from_records(dataset: Dataset) -> Recipe:
    groups: dict[tuple[Any, ...], list[TiltSeries]] = {}
    for series in dataset:
        if series.origin is None:
            raise _UnknownHistoryError
        groups.setdefault(series.origin.call(), []).append(series)
    steps = _merged(dataset)
    inputs: list[Input] = []
    spectra: list[Input] = []
    expected: list[str] = []
    made: list[str] = []
    for members in groups.values():
        origin = members[0].origin
        assert origin is not None
        one = input_of(origin)
        if origin.spectra:
            spectra.append(one)
            made += _maps_of(members[0])
            continue
        signals = _signals(one, members)
        inputs.append(one.model_copy(update={"signals": signals}))
        expected += [signal.name for signal in signals]
    current = [_name_before(one) for one in dataset]
    if not spectra:
        first = [_name_when_read(one) for one in dataset]
        if expected != first:
            steps.insert(0, Entry.of("select", {"channels": first}))
    # Maps are made first, and joined with the series that were read.
    else:
        after = sum(entry.step == "maps" for entry in steps)
        if [entry.step for entry in steps[:after]] != ["maps"] * after:
            raise _UnknownHistoryError
        names = [*expected, *made]
        if names != current:
            steps.insert(after, Entry.of("select", {"channels": current}))
    return Recipe((*inputs, *spectra), tuple(_renamed(dataset, current, steps)))


def _signals(one: Input, members: Sequence[TiltSeries]) -> tuple[Signal, ...]:
    """Return the signals of an input, with their digests when they were read."""
    again: Dataset | None = None
    signals = []
    for series in members:
        origin = series.origin
        assert origin is not None
        if not _own_records(series):
            digest = _digest_unchanged(series)
        else:
            if again is None:
                again = _again(one)
            if origin.name not in again.names:
                raise _UnknownHistoryError
            digest = series_digest(again[origin.name])
        name = _name_when_read(series)
        found = None if origin.name == name else origin.name
        signals.append(Signal(name=name, found=found, sha256=digest))
    return tuple(signals)


def _again(one: Input) -> Dataset:
    try:
        return read_again(one)
    except ChemTomoError as error:
        raise _UnknownHistoryError from error


def _digest_unchanged(series: TiltSeries) -> str:
    """Return the digest of a series without steps; raise if its numbers were edited by hand."""
    assert series.origin is not None
    if series.origin.frame and series.origin.frame != frame_digest(series):
        raise _UnknownHistoryError
    return series_digest(series)


def _digest_as_read(series: TiltSeries) -> str:
    assert series.origin is not None
    if not _own_records(series):
        return series_digest(series)
    again = _again(input_of(series.origin))
    return series_digest(again[series.origin.name]) if series.origin.name in again.names else ""


def _maps_of(series: TiltSeries) -> list[str]:
    """Return the names of all maps that were made together with a series."""
    first = next(iter(_own_records(series)), {})
    if first.get("step") != "maps":
        raise _UnknownHistoryError
    return list(first["made"])


def _name_when_read(series: TiltSeries) -> str:
    """Return the name that a series had before its first step."""
    records = _own_records(series)
    if any(record.get("parameters", {}).get("names") for record in records):
        return series.name if series.origin is None else series.origin.name
    return _name_before(series)


def _name_before(series: TiltSeries) -> str:
    """Return the name that a series had after its last step; it may have been renamed since."""
    records = _own_records(series)
    return str(records[-1]["after"]["name"]) if records else series.name


def _renamed(dataset: Dataset, names: Sequence[str], steps: list[Entry]) -> list[Entry]:
    if list(names) == list(dataset.names):
        return steps
    return [*steps, Entry.of("select", {"channels": list(names), "names": list(dataset.names)})]


def _merged(dataset: Dataset) -> list[Entry]:
    """Put the steps of all series into one order, each restricted to the series that had it."""
    lists: list[list[tuple[str, int]]] = []
    holders: dict[tuple[str, int], list[str]] = {}
    for series in dataset:
        records = _own_records(series)
        if records and not matches(series, records[-1])[0]:
            raise _UnknownHistoryError
        nodes: list[tuple[str, int]] = []
        for record in records:
            if record.get("step") == _WRITTEN:
                continue
            if "parameters" not in record or "after" not in record:
                raise _UnknownHistoryError
            text = json.dumps([record["step"], record["parameters"]])
            node = (text, sum(one == text for one, _ in nodes))
            nodes.append(node)
            holders.setdefault(node, []).append(str(record["after"]["name"]))
        lists.append(nodes)
    entries: list[Entry] = []
    tables: dict[str, Any] = {}
    for node in _in_order(lists):
        step, values = json.loads(node[0])
        try:
            entry = Entry.of(step, values)
        except ChemTomoError as error:
            raise _UnknownHistoryError from error
        of_all = len(holders[node]) == len(dataset)
        if step in _ALIGNS and not of_all:
            # Alignments of single series come where they are used, or at the end.
            tables |= values.get("alignments", {})
            continue
        if step == "apply_alignment" and tables:
            entries.append(Entry.of("use_alignment", {"alignments": tables}))
            tables = {}
        entries.append(entry if of_all or step == "maps" else _for_some(entry, holders[node]))
    return [*entries, *_missing_alignments(dataset, entries)]


def _for_some(entry: Entry, names: list[str]) -> Entry:
    if not isinstance(entry.parameters, Operation) or entry.step == "select":
        raise _UnknownHistoryError
    parameters = entry.parameters.model_copy(update={"channels": tuple(names)})
    return Entry(entry.step, OPERATIONS[entry.step].model_validate(parameters.model_dump()))


def _missing_alignments(dataset: Dataset, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the step with the matrices of alignments that no other step makes."""
    if all(one.alignment is None for one in dataset):
        return ()
    made = any(entry.step in _ALIGNS for entry in entries)
    if made and all(_is_recorded(one) for one in dataset):
        return ()
    return (Entry("use_alignment", exact_alignments(dataset)),)


def _in_order(lists: Sequence[Sequence[tuple[str, int]]]) -> list[tuple[str, int]]:
    """Merge lists so that the order of each is kept; those that come first stay first."""
    waiting = [list(one) for one in lists]
    merged: list[tuple[str, int]] = []
    while any(waiting):
        heads = [one[0] for one in waiting if one]
        free = next((head for head in heads if not any(head in one[1:] for one in waiting)), None)
        if free is None:
            raise _UnknownHistoryError
        merged.append(free)
        waiting = [one[1:] if one and one[0] == free else one for one in waiting]
    return merged
