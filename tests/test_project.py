"""What the project promises about itself as a whole."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import chemtomo

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_is_said_once(project):
    assert chemtomo.__version__ == version("napari-chemtomo") == project["version"]


def test_the_changelog_knows_this_version(project):
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == project["version"]


def test_napari_finds_the_manifest():
    (found,) = [one for one in entry_points(group="napari.manifest") if one.name == "napari-chemtomo"]
    package, _, file = found.value.partition(":")
    manifest = ROOT / "src" / package / file
    assert manifest.is_file()
    assert (ROOT / "napari.yaml").resolve() == manifest


def test_the_base_dependencies_hold_no_qt_binding(project):
    names = {re.match(r"[\w-]+", line).group().lower() for line in project["dependencies"]}
    assert not names & {"napari", "pyqt5", "pyqt6", "pyside2", "pyside6"}


def ran(code):
    """What another process of Python has to say of a piece of code: nothing, or an error."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr


def test_all_names_of_the_package_are_there_when_only_the_package_is_imported():
    names = "[getattr(chemtomo, name) for name in chemtomo.__all__]"
    assert ran(f"import chemtomo; {names}") == ""
    assert ran(f"import chemtomo; assert set(chemtomo.__all__) <= {{*dir(chemtomo)}}; {names}") == ""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        chemtomo.nothing  # noqa: B018


@pytest.mark.parametrize(
    "first",
    [
        "import chemtomo",
        "import chemtomo.align",
        "from chemtomo.align import apply",
        "import chemtomo.pipeline.runner",
        "from chemtomo.align.transforms.linking import link",
        "import chemtomo.cli.app, chemtomo.align.parameters",
    ],
)
def test_align_is_the_function_and_its_package_is_imported_from(first):
    then = "import chemtomo; from chemtomo.align import apply, projection_matching"
    assert ran(f"{first}\n{then}\nassert chemtomo.align.__module__ == 'chemtomo.api'") == ""


def test_the_package_is_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "chemtomo", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_the_core_imports_neither_napari_nor_qt_nor_a_device_nor_slow_libraries():
    """In a process of its own, because other tests have imported them by now."""
    code = (
        "import sys, chemtomo, chemtomo.cli;"
        "heavy = {'napari', 'napari_chemtomo', 'qtpy', 'magicgui', 'PyQt6', 'pyopencl', 'scipy', 'skimage', "
        "'sklearn', 'dask', 'h5py', 'tifffile', 'zarr', 'rsciio', 'xraydb', 'pint'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"import chemtomo also imports {done.stderr}"


def test_constraints_are_plain_and_allowed(project):
    """Only names and releases: no host, no path, no hash. And only releases that the package allows."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines)
    assert len(pinned) == len(lines) > 100
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    everything = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [one for group in everything["dependency-groups"].values() for one in group]
    extras = project["optional-dependencies"]
    for text in [*project["dependencies"], *extras["all"], *extras["intel"], *groups]:
        if isinstance(text, str):
            wanted = Requirement(text)
            name = canonicalize_name(wanted.name)
            assert name in pinned or name == "astra-toolbox", f"constraints.txt does not know {name}"
            assert name not in pinned or wanted.specifier.contains(pinned[name]), f"{name}=={pinned[name]}"


def test_set_up_and_checks_use_the_constraints():
    assert "--constraint" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert 'CONSTRAINTS: ""' in (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "CHEMTOMO_DATA=" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_citation_agrees_with_the_project(project):
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    said = dict(re.findall(r"^(version|license): \"?([^\"\n]+)", text, re.MULTILINE))
    assert said == {"version": project["version"], "license": project["license"]}
    doi = re.search(r"^ +doi: (\S+)$", text, re.MULTILINE).group(1)
    assert f"https://doi.org/{doi}" in (ROOT / "README.md").read_text(encoding="utf-8")
