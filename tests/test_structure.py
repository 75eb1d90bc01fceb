"""The shape of the source tree: sizes of files and folders, and imports without circles."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
FILES = sorted([*SOURCE.rglob("*.py"), *SOURCE.rglob("*.cl")])
# About 400 lines are enough for one subject, and a dozen modules for one purpose.
MOST_LINES = 450
MOST_MODULES = 12
# Folders that are still to be divided. Nothing is added here; a folder that has become small is taken out.
UNDIVIDED: set[str] = set()


def modules_in(source):
    """Map the full name of every module below a folder to its file."""
    found = {}
    for path in source.rglob("*.py"):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(source):
    """Map every module to those that it imports anywhere: at its top, in functions, and for types only."""
    modules = modules_in(source)
    graph = {}
    for name, path in modules.items():
        graph[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                wanted = [
                    full if (full := f"{node.module}.{alias.name}") in modules else node.module
                    for alias in node.names
                ]
            else:
                continue
            graph[name].update(one for one in wanted if one in modules and one != name)
    return graph


def circle_in(graph):
    """Return the modules of a circle of imports, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_file_has_two_subjects(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_no_folder_holds_more_than_a_dozen_modules():
    folders = {path.parent for path in FILES}
    broad = {
        folder.relative_to(SOURCE).as_posix(): count
        for folder in folders
        if (count := sum(file.parent == folder and file.stem != "__init__" for file in FILES)) > MOST_MODULES
    }
    assert set(broad) == UNDIVIDED, broad


def test_no_imports_run_in_a_circle():
    assert circle_in(imports_of(SOURCE)) is None


def test_a_circle_that_hides_in_a_function_is_found(tmp_path):
    (tmp_path / "one.py").write_text("from two import something\n", encoding="utf-8")
    (tmp_path / "two.py").write_text("def something():\n    import one\n", encoding="utf-8")
    assert set(circle_in(imports_of(tmp_path))) == {"one", "two"}


def test_no_module_of_the_project_is_imported_by_a_string():
    """Contracts on imports see statements only."""
    by_string = [
        f"{path.relative_to(SOURCE).as_posix()}:{number}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "import_module(" in line
    ]
    assert by_string == []


@pytest.mark.parametrize(
    "path",
    sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "docs").glob("*.py")]),
    ids=lambda path: path.name,
)
def test_scripts_import_names_that_are_there(path):
    """Also those that they import in functions: no other test runs benchmarks and the makers of pictures."""
    modules = modules_in(SOURCE)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in modules:
            text = modules[node.module].read_text(encoding="utf-8")
            for alias in node.names:
                there = f"{node.module}.{alias.name}" in modules or re.search(rf"\b{alias.name}\b", text)
                assert there, f"{node.module} has no {alias.name}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            ("chemtomo", "napari_chemtomo")
        ):
            pytest.fail(f"there is no module {node.module}")
