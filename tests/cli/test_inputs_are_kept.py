"""No command writes onto what it reads, however the path is spelled; results are not lost."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from chemtomo.data import Dataset, TiltSeries, Volume
from chemtomo.errors import WriteError
from chemtomo.io import check_targets, input_files, write, write_dataset
from chemtomo.io.formats.mrc import write as mrc

# Every command that reads a series and writes, up to the option that names the file.
COMMANDS = {
    "reconstruct -o": ["reconstruct", "--iterations", "1", "--device", "numpy", "-o"],
    "reconstruct --report": ["reconstruct", "-o", "other.zarr", "--device", "numpy", "--report"],
    "align -o": ["align", "--overwrite", "-o"],
    "align --save": ["align", "--overwrite", "--save"],
    "prepare -o": ["prepare", "--overwrite", "-o"],
    "prepare --save-steps": ["prepare", "--overwrite", "-o", "other.zarr", "--save-steps"],
    "convert -o": ["convert", "--overwrite", "-o"],
}
SPELLINGS = ["same", "relative", "dots", "link", "hard link", "link to the folder"]


def digest(folder: Path) -> dict[str, str]:
    return {
        str(one.relative_to(folder)): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in sorted(folder.rglob("*"))
        if one.is_file()
    }


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """One recorded stack with its tilts and its description."""
    folder = tmp_path / "data"
    folder.mkdir()
    data = np.random.default_rng(0).random((5, 6, 8)).astype(np.float32)
    series = TiltSeries("HAADF", data, np.linspace(-40, 40, 5), 2.0)
    write_dataset(Dataset((series,)), folder / "X.mrc")
    monkeypatch.chdir(tmp_path)
    return folder / "X.mrc"


def spelled(stack: Path, how: str) -> Path:
    if how == "relative":
        return Path(os.path.relpath(stack))
    if how == "dots":
        return stack.parent / ".." / stack.parent.name / stack.name
    if how == "link":
        (stack.parent.parent / "L.mrc").symlink_to(stack)
        return stack.parent.parent / "L.mrc"
    if how == "hard link":
        (stack.parent.parent / "H.mrc").hardlink_to(stack)
        return stack.parent.parent / "H.mrc"
    if how == "link to the folder":
        (stack.parent.parent / "other").symlink_to(stack.parent, target_is_directory=True)
        return stack.parent.parent / "other" / stack.name
    return stack


@pytest.mark.parametrize("how", SPELLINGS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_writes_onto_its_input(run, stack, command, how):
    before = digest(stack.parent)
    name, *options = COMMANDS[command]
    status, out, err = run(name, stack, *options, spelled(stack, how))
    assert (status, out) == (1, "")
    assert "inputs are never written" in " ".join(err.split())
    assert digest(stack.parent) == before


@pytest.mark.parametrize("given", ["folder", "mdoc"])
@pytest.mark.parametrize("command", COMMANDS)
def test_nor_onto_what_a_folder_or_mdoc_stands_for(run, stack, command, given):
    read = stack.parent
    if given == "mdoc":
        read = stack.with_suffix(".mdoc")
        text = "".join(f"[ZValue = {n}]\nTiltAngle = {n * 20 - 40}\n\n" for n in range(5))
        read.write_text(f"ImageFile = X.mrc\n\n{text}")
    before = digest(stack.parent)
    name, *options = COMMANDS[command]
    status, _, err = run(name, read, *options, stack)
    assert status == 1
    assert "inputs are never written" in " ".join(err.split())
    assert digest(stack.parent) == before


@pytest.mark.parametrize(
    ("arguments", "lost"),
    [
        (["convert", "--overwrite", "-o", "data/X.ali"], "X.rawtlt"),
        (["prepare", "--overwrite", "-o", "data/X.st"], "X.rawtlt"),
        (["reconstruct", "--device", "numpy", "--iterations", "1", "-o", "data/X.rec"], "X.chemtomo.json"),
        (["align", "--overwrite", "--save", "data/X.rawtlt"], "X.rawtlt"),
        (["align", "--overwrite", "--save", "given.txt", "--tilts", "given.txt"], "given.txt"),
    ],
)
def test_nor_onto_what_belongs_to_it(run, stack, arguments, lost):
    Path("given.txt").write_text("\n".join(map(str, range(5))))
    before = digest(Path())
    name, *options = arguments
    status, _, err = run(name, stack, *options)
    assert status == 1
    assert lost in " ".join(err.split())
    assert digest(Path()) == before


def test_nor_into_or_over_a_zarr_image(run, tmp_path):
    write(Volume(np.ones((1, 4, 4, 4), np.float32), ("A",)), tmp_path / "v.zarr")
    before = digest(tmp_path)
    for target in (tmp_path / "v.zarr", tmp_path / "v.zarr" / "x.emd"):
        status, _, err = run("convert", tmp_path / "v.zarr", "--overwrite", "-o", target)
        assert status == 1
        assert "inputs are never written" in " ".join(err.split())
    assert digest(tmp_path) == before


def test_maps_do_not_write_onto_spectra(run, data_folder, tmp_path):
    shutil.copy(data_folder / "vendor" / "test_TEM.bcf", tmp_path / "a.bcf")
    before = digest(tmp_path)
    status, _, err = run("maps", tmp_path / "a.bcf", "--suggest", "--spectrum", tmp_path / "a.bcf")
    assert status == 1
    assert "inputs are never written" in " ".join(err.split())
    assert digest(tmp_path) == before


def test_another_case_is_the_same_file_where_the_system_says_so(tmp_path, monkeypatch):
    """As on Windows and macOS: the system, not the spelling, decides."""
    (tmp_path / "X.mrc").write_bytes(b"x")
    check_targets([tmp_path / "x.MRC"], input_files([tmp_path / "X.mrc"]))
    monkeypatch.setattr(Path, "samefile", lambda self, other: str(self).lower() == str(other).lower())
    with pytest.raises(WriteError, match="inputs are never written"):
        check_targets([tmp_path / "x.MRC"], input_files([tmp_path / "X.mrc"]))


def test_two_results_need_two_names(run, stack):
    status, _, err = run("align", stack, "--save", "a.mrc", "-o", "a.mrc")
    assert status == 1
    assert "two results" in err


def test_a_volume_beside_its_series_can_be_made_again(run, stack):
    """The folder was given, but the volume in it is a result, not an input."""
    arguments = ["reconstruct", stack.parent, "--iterations", "1", "--device", "numpy", "--method", "sirt"]
    for again in ([], ["--overwrite"]):
        status, _, err = run(*arguments, "-o", stack.parent / "v.zarr", *again)
        assert status == 0, err


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder where nobody can make a file")
@pytest.mark.parametrize("command", [one for one in COMMANDS if one != "reconstruct --report"])
def test_a_folder_that_cannot_be_written_is_told_before_the_work(run, stack, monkeypatch, command):
    from chemtomo.pipeline import runner

    monkeypatch.setattr(runner, "run_steps_job", lambda *arguments, **options: pytest.fail("the work began"))
    name, *options = COMMANDS[command]
    status, _, err = run(name, stack, *options, "/proc/x.zarr")
    assert status == 1
    assert "/proc: cannot be written" in " ".join(err.split())
    assert ".part" not in err


def _refuse_in(monkeypatch, *folders):
    """Let the disk be full in some folders, from the first byte of a stack on."""
    write_stack = mrc.write_stack

    def refuse(path, *arguments, **options):
        if path.parent in folders:
            raise OSError(28, "No space left on device")
        write_stack(path, *arguments, **options)

    monkeypatch.setattr(mrc, "write_stack", refuse)


@pytest.mark.parametrize("full", [["out"], ["out", "."]])
def test_a_result_that_cannot_be_written_goes_elsewhere(run, stack, tmp_path, monkeypatch, full):
    """To the current folder, or else among the temporary files; and the command says so and fails."""
    (tmp_path / "out").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    _refuse_in(monkeypatch, *[tmp_path / one for one in full])
    status, _, err = run("prepare", stack, "-o", tmp_path / "out" / "p.mrc")
    said = " ".join(err.split())
    assert status == 1
    assert "cannot be written: no space left" in said
    assert list((tmp_path / "out").iterdir()) == []
    (found,) = tmp_path.rglob("p.mrc")
    assert str(found).replace(" ", "") in err.replace("\n", "").replace(" ", "")
    assert found.parent == (tmp_path if full == ["out"] else found.parent)


def test_a_result_that_fits_nowhere_is_an_error_and_leaves_nothing(run, stack, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mrc, "write_stack", refuse)
    (tmp_path / "out").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    before = set(tmp_path.rglob("*"))
    status, _, err = run("prepare", stack, "-o", tmp_path / "out" / "p.mrc")
    assert status == 1
    assert "cannot be written: no space left" in " ".join(err.split())
    assert set(tmp_path.rglob("*")) == before


SIRT = ["--iterations", "1", "--device", "numpy", "--method", "sirt"]
RESULTS = {
    "prepare": (["prepare", "{stack}", "--bin", "2"], "-o", "r.zarr"),
    "prepare into a folder": (["prepare", "{stack}", "--bin", "2"], "-o", "r"),
    "prepare --save-steps": (["prepare", "{stack}", "--bin", "2", "-o", "{new}"], "--save-steps", "r.toml"),
    "align": (["align", "{stack}", "--method", "center-of-mass"], "-o", "r.mrc"),
    "align --save": (["align", "{stack}", "--method", "center-of-mass"], "--save", "r.json"),
    "reconstruct": (["reconstruct", "{stack}", *SIRT], "-o", "r.zarr"),
    "reconstruct to MRC": (["reconstruct", "{stack}", *SIRT], "-o", "r.mrc"),
    "convert": (["convert", "{stack}"], "-o", "r.ome.tif"),
    "recipe": (["recipe", "{volume}"], "-o", "r.toml"),
    "run": (["run", "{volume}"], "-o", "r.emd"),
    "phantom": (["phantom"], "", "r"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_what_is_there_stays_unless_it_may_be_overwritten(run, stack, tmp_path, monkeypatch, name):
    """One rule for every command, and it is held before any work."""
    volume = tmp_path / "v.zarr"
    assert run("reconstruct", stack, *SIRT, "-o", volume)[0] == 0
    words, option, file = RESULTS[name]
    number = iter(range(9))

    def command():
        new = tmp_path / f"new{next(number)}.zarr"
        given = [one.format(stack=stack, volume=volume, new=new) for one in words]
        return [*given, *([option] if option else []), tmp_path / file]

    status, _, err = run(*command())
    assert status == 0, err
    there = {
        path: path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and path.relative_to(tmp_path).parts[0].startswith("r")
    }
    assert there
    with monkeypatch.context() as busy:
        busy.setattr("chemtomo.pipeline.runner.run_steps_job", lambda *_, **__: pytest.fail("the work began"))
        status, _, err = run(*command())
    assert (status, "exists already; expected another name, or --overwrite" in " ".join(err.split())) == (
        1,
        True,
    )
    assert {path: path.read_bytes() for path in there} == there
    status, _, err = run(*command(), "--overwrite")
    assert status == 0, err


def test_a_report_is_renewed_by_every_run(run, stack, tmp_path):
    arguments = ["reconstruct", stack, *SIRT, "--report", tmp_path / "report.json"]
    for number in range(2):
        status, _, err = run(*arguments, "-o", tmp_path / f"{number}.zarr")
        assert status == 0, err
