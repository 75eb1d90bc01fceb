"""Read the inputs of a recipe, and check that they have not changed."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

from chemtomo.data import Dataset, Origin, SpectrumSeries, TiltSeries
from chemtomo.data.fingerprint import series_digest
from chemtomo.errors import ParameterError, ReadError
from chemtomo.pipeline.recipes.recipe import Input, Recipe
from chemtomo.pipeline.step import State
from chemtomo.progress import TaskProgress

__all__ = ["files_digest", "in_folder", "input_of", "read_again", "read_inputs_job"]

_BLOCK = 1 << 20


def read_inputs_job(recipe: Recipe, *, accept_changed: bool = False) -> Generator[TaskProgress, None, State]:
    """Read the inputs of a recipe.

    Parameters
    ----------
    recipe : Recipe
        Its paths are absolute.
    accept_changed : bool
        Continue although values differ from those of the recipe.

    Raises
    ------
    ReadError
        When an input cannot be read, or its values have changed.
    ParameterError
        When an input was in memory only.
    """
    series: list[TiltSeries] = []
    spectra: list[SpectrumSeries] = []
    for number, one in enumerate(recipe.inputs):
        yield TaskProgress(number, len(recipe.inputs), f"Reading {one.where()}")
        if one.kind == "spectra":
            found = _spectra(one)
            if one.sha256 and not accept_changed:
                _require_same(one.where(), one.sha256, files_digest(one.paths), "files")
            spectra.append(found)
            continue
        dataset = read_again(one)
        for signal in one.signals:
            chosen = _signal(dataset, signal.found or signal.name, one)
            if signal.sha256 and not accept_changed:
                what = f"{one.where()}: {signal.name}"
                _require_same(what, signal.sha256, series_digest(chosen), "values and tilts")
            series.append(chosen.replace(name=signal.name))
        if not one.signals:
            series += dataset
    return State(tuple(spectra), Dataset(tuple(series)) if series else None)


def read_again(one: Input) -> Dataset:
    """Return all series of an input, as they were read.

    Raises
    ------
    ReadError, ParameterError
        When there are no such files, or it was in memory.
    """
    if one.kind == "sample":
        from chemtomo import samples

        made = {"phantom": samples.phantom}
        if one.sample not in made:
            raise ParameterError(f"found the sample {one.sample!r}; expected one of {', '.join(made)}")
        options = dict(one.options)
        if "shape" in options:
            options["shape"] = tuple(options["shape"])
        return made[one.sample](**options)
    if one.kind == "memory":
        names = ", ".join(signal.name for signal in one.signals)
        raise ParameterError(
            f"the data of {names} was made in memory, without a recipe; expected files. "
            "Write it with chemtomo.write and start from that file"
        )
    from chemtomo.io import read

    return read(list(one.paths), tilts=one.tilts, tilts_unit=one.tilts_unit)


def in_folder(recipe: Recipe, folder: Path) -> Recipe:
    """Return a recipe whose files are looked for in another folder, by their names.

    Raises
    ------
    ReadError
        When one is not there.
    """

    def moved(path: str) -> str:
        found = folder / Path(path).name
        if not found.exists():
            raise ReadError(f"{found}: no such file; expected it in {folder}, as the recipe has {path}")
        return str(found.resolve())

    return dataclasses.replace(recipe, inputs=tuple(one.with_paths(moved) for one in recipe.inputs))


def input_of(origin: Origin) -> Input:
    """Return the input to which the origin of a signal belongs, without its signals."""
    from chemtomo.io.formats.registry import format_name

    if origin.sample:
        return Input(kind="sample", sample=origin.sample, options=origin.options)
    common: dict[str, Any] = {
        "paths": origin.paths,
        "tilts": origin.tilts,
        "tilts_unit": origin.tilts_unit,
        "format": format_name(Path(origin.paths[0])),
    }
    if not origin.spectra:
        return Input(**common)
    return Input(kind="spectra", signal=origin.name, sha256=files_digest(origin.paths), **common)


def files_digest(paths: tuple[str, ...]) -> str:
    """Return the SHA-256 of the bytes of files, and of those in folders: decoding spectra would take long."""
    digest = hashlib.sha256()
    for path in map(Path, paths):
        files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        for file in files:
            try:
                with file.open("rb") as stream:
                    while block := stream.read(_BLOCK):
                        digest.update(block)
            except OSError as error:
                raise ReadError(f"{file}: cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()


def _spectra(one: Input) -> SpectrumSeries:
    from chemtomo.io import read_spectra

    return read_spectra(list(one.paths), tilts=one.tilts, tilts_unit=one.tilts_unit, signal=one.signal)


def _signal(dataset: Dataset, name: str, one: Input) -> TiltSeries:
    if name not in dataset.names:
        raise ReadError(
            f"{one.where()}: found the signals {', '.join(dataset.names)}; expected {name!r}, by the recipe"
        )
    return dataset[name]


def _require_same(what: str, wanted: str, found: str, of: str) -> None:
    if wanted != found:
        raise ReadError(
            f"{what}: found {of} with the SHA-256 {found[:16]}…; expected {wanted[:16]}…, with which the "
            "recipe was made. --accept-changed-inputs goes on"
        )
