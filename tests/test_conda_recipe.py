"""The conda recipe says what pyproject.toml says, in the names of conda."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "packaging" / "conda" / "recipe.yaml"
# Packages that conda-forge calls otherwise. None: the recipe leaves it out, as its comment says.
CONDA_NAMES = {"dask": "dask-core", "matplotlib": "matplotlib-base", "pocl-binary-distribution": None}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def recipe():
    """The recipe, with the values of its context put where it names them."""
    text = RECIPE.read_text(encoding="utf-8")
    context = yaml.safe_load(text)["context"] | {"PYTHON": "python"}
    rendered = re.sub(r"\$\{\{ *(\w+) *\}\}", lambda found: str(context[found[1]]), text)
    return yaml.safe_load(rendered)


def in_conda_names(requirements):
    """Map requirements of pip to the lines of a recipe."""
    wanted = [Requirement(one) for one in requirements]
    names = [CONDA_NAMES.get(one.name, one.name) for one in wanted]
    return [
        f"{name} {one.specifier}".strip() for name, one in zip(names, wanted, strict=True) if name is not None
    ]


def test_it_is_a_recipe_that_conda_can_build(recipe):
    """As far as that goes without a network: it is read and filled in by the program that builds it."""
    rattler_build = pytest.importorskip("rattler_build")
    (one,) = rattler_build.Stage0Recipe.from_file(RECIPE).render(rattler_build.VariantConfig())
    rendered = one.recipe.to_dict()
    assert rendered["package"] == recipe["package"]
    assert rendered["requirements"] == recipe["requirements"]
    assert rendered["tests"] == recipe["tests"]


def test_it_is_this_version_of_this_package(recipe, project):
    said = project["project"]
    assert recipe["schema_version"] == 1
    assert recipe["package"] == {"name": said["name"], "version": said["version"]}
    assert recipe["about"]["summary"] == said["description"]
    assert recipe["about"]["license"] == said["license"]
    assert (ROOT / recipe["about"]["license_file"]).is_file()
    assert (RECIPE.parent / recipe["source"]["path"]).resolve() == ROOT


def test_it_runs_with_the_same_packages(recipe, project):
    said = project["project"]
    run = recipe["requirements"]["run"]
    assert run[0] == f"python {said['requires-python']}"
    assert sorted(run[1:]) == sorted(in_conda_names(said["dependencies"]))


def test_it_is_built_with_the_same_packages(recipe, project):
    host = recipe["requirements"]["host"]
    lowest = project["project"]["requires-python"].removeprefix(">=")
    assert set(host) == {f"python {lowest}.*", "pip", *in_conda_names(project["build-system"]["requires"])}


def test_what_the_plugin_needs_is_a_constraint_as_it_is_an_extra(recipe, project):
    wanted = [Requirement(one) for one in project["project"]["optional-dependencies"]["all"]]
    assert recipe["requirements"]["run_constraints"] == [f"{one.name} {one.specifier}" for one in wanted]


def test_it_installs_the_same_commands(recipe, project):
    scripts = [f"{name} = {target}" for name, target in project["project"]["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts


def test_it_is_for_all_systems(recipe, project):
    """Pure Python, in one package: so no requirement may depend on the system."""
    assert recipe["build"]["noarch"] == "python"
    conditional = {Requirement(one).name for one in project["project"]["dependencies"] if ";" in one}
    assert {CONDA_NAMES.get(name, name) for name in conditional} <= {None}


def test_its_tests_import_the_packages_and_run_the_commands(recipe, project):
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    imports, commands = recipe["tests"]
    assert sorted(imports["python"]["imports"]) == sorted(Path(one).name for one in packages)
    assert {line.split()[0] for line in commands["script"]} == set(project["project"]["scripts"])
