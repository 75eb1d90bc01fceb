"""The examples of the pages run: every command and every piece of Python, one after the other, page by page.

They run on small files with the names that the examples use. What only makes an example long, or needs
larger files, is replaced: ranges, lists of tilts, numbers of iterations.
"""

import dataclasses
import re
import shutil
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile
from tests.documentation.pages import PAGES, blocks, commands
from tests.io.formats.rosetta.digital_micrograph_writing import write_dm3
from tests.spectra.conftest import make_specimen, write_spectra

from chemtomo.cli import main
from chemtomo.io import write_dataset
from chemtomo.samples import phantom

ROWS, COLUMNS, TILTS = 24, 48, 19
FITS_THE_FILES = (
    (re.compile(r"^-\d+:\d+:\d+$"), f"-81:9:{TILTS}"),  # tilts
    (re.compile(r"^\d+:\d+$"), f"2:{ROWS - 2}"),  # rows or columns
    (re.compile(r"^/data/\w+$"), "."),
)
SHORT = {"iterations": "2", "steps": "paper"}  # the metric of the fast steps takes a while to set up
ADDED = {
    "reconstruct": [word for key, value in SHORT.items() for word in (f"--{key}", value)],
    "run": [word for key, value in SHORT.items() for word in ("--set", f"reconstruct.{key}={value}")],
}
# Options that are followed by what a command writes.
WRITTEN_BY_OPTION = ("-o", "--save", "--save-steps", "--report", "--spectrum", ">")
WRITTEN_BY_PYTHON = re.compile(r"chemtomo\.write\w*\(.*[\"'](.+?)[\"']\)")
# The demonstration opens napari, and several processes need further packages: they have tests of their own.
NOT_RUN = {"demo", "--workers", "--scheduler"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """All files that examples read, and those that examples of other pages write."""
    folder = tmp_path_factory.mktemp("examples")
    dataset = phantom((ROWS, COLUMNS), tilts=TILTS)
    write_dataset(dataset, folder)
    values = np.asarray(dataset["HAADF"].data, np.float32)
    mrcfile.write(folder / "stack.mrc", values)
    for name in ("stack", "HAADF"):
        tifffile.imwrite(folder / f"{name}.tif", values)
    np.savetxt(folder / "refined.tlt", dataset["HAADF"].tilts_deg)
    for day in ("monday", "tuesday"):
        write_dataset(dataset, folder / "data" / day)
    nm = (1.0, 0.0, "nm")
    write_dm3(folder / "HAADF.dm3", values, [nm, nm, (9.0, 9.0, "deg")])
    spectra = make_specimen(
        {"Fe_K": 60.0, "Co_K": 20.0, "O_K": 30.0, "Cu_K": 15.0}, 50.0, shape=(3, 6, 8)
    ).series
    write_spectra(spectra, folder / "series.hspy")
    for name in ("series", "tilt_series"):
        (folder / name).mkdir()
        for number, tilt in enumerate(spectra.tilts_deg):
            one = dataclasses.replace(
                spectra,
                data=spectra.data[number : number + 1],
                tilts_deg=spectra.tilts_deg[number : number + 1],
            )
            write_spectra(one, folder / name / f"{tilt:g}.hspy")
    with pytest.MonkeyPatch.context() as there:
        there.chdir(folder)
        for arguments in (
            ["prepare", "HAADF.mrc", "-o", "prepared.zarr", "--hot-pixels", "--save-steps", "steps.toml"],
            ["align", "HAADF.mrc", "--save", "alignment.json"],
            [
                "reconstruct",
                "HAADF.mrc",
                "Al.mrc",
                "Si.mrc",
                "Yb.mrc",
                "-o",
                "sample.zarr",
                "--iterations",
                "2",
            ],
            ["recipe", "sample.zarr", "-o", "sample.toml"],
        ):
            assert main(arguments) == 0, arguments
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CONTRIBUTING.md"])
def test_examples_run(page, files, tmp_path, monkeypatch, capfd):
    folder = tmp_path / "here"
    shutil.copytree(files, folder)
    monkeypatch.chdir(folder)
    names: dict = {}  # the blocks of a page follow one another
    for block in blocks(page):
        if block.language == "python":
            run_python(block, names)
        for line, (name, *arguments) in commands(block):
            if NOT_RUN.isdisjoint([name, *arguments]):
                run(block.where, line, name, arguments, capfd)


def run_python(block, names):
    """Run a piece of Python, unless it is about a program that is not installed, such as a cluster's."""
    make_room(WRITTEN_BY_PYTHON.findall(block.text))
    try:
        exec(compile(block.text, block.where, "exec"), names)
    except ModuleNotFoundError as error:
        if str(error.name).startswith(("chemtomo", "napari_chemtomo")):
            raise


def run(where, line, name, arguments, capfd):
    """Run a command as a shell would."""
    make_room(arguments[at + 1] for at, word in enumerate(arguments) if word in WRITTEN_BY_OPTION)
    to = arguments[arguments.index(">") + 1] if ">" in arguments else None
    arguments = arguments[: -2 if to else None] + ADDED.get(name, [])
    arguments = [
        file for one in arguments for file in (sorted(map(str, Path().glob(one))) if "*" in one else [one])
    ]
    for pattern, replacement in FITS_THE_FILES:
        arguments = [pattern.sub(replacement, one) for one in arguments]
    status = main([name, *arguments])
    captured = capfd.readouterr()
    assert status == 0, f"{where}: {line!r} ended with {status}: {captured.err}{captured.out}"
    if to:
        Path(to).write_text(captured.out, encoding="utf-8")


def make_room(names):
    """Remove results of the same names, which other examples have left."""
    for path in map(Path, names):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
