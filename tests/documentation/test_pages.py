"""What the pages say is there: commands and their options, links, files, names of Python, recipes."""

import importlib
import re
import tomllib
from types import ModuleType
from typing import get_args

import pytest
import typer
import yaml
from tests.documentation.pages import PAGES, ROOT, anchors, blocks, commands, links, prose, spans
from tools.docs_hooks import on_page_markdown

import chemtomo
from chemtomo.align.parameters import AlignParameters
from chemtomo.cli import app
from chemtomo.io.formats.registry import readable_suffixes
from chemtomo.pipeline import STEPS, Recipe
from chemtomo.recon.parameters import ReconstructParameters
from chemtomo.spectra.parameters import MapParameters

COMMANDS = typer.main.get_command(app).commands
USAGE_ERROR = typer.BadParameter.__base__  # which module it is in depends on the version of typer
# Names in capital letters stand for what the reader puts there.
PLACEHOLDER = re.compile(r"^[A-Z]+$")
OPTION = re.compile(r"^--?[a-z][\w-]*$")
every_page = pytest.mark.parametrize("page", PAGES)


def options_of(name):
    return {flag for one in COMMANDS[name].params for flag in (*one.opts, *one.secondary_opts)} | {"--help"}


def all_options():
    return {"--version", "--debug"}.union(*map(options_of, COMMANDS))


@every_page
def test_commands_are_understood_by_the_command_line(page):
    """Options are there, take such values, and no argument is missing; files are not looked for."""
    for block in blocks(page):
        for line, (name, *arguments) in commands(block):
            assert name in COMMANDS, f"{block.where}: there is no command in {line!r}"
            before_redirection = arguments[: arguments.index(">")] if ">" in arguments else arguments
            try:
                COMMANDS[name].make_context(name, list(before_redirection))
            except USAGE_ERROR as error:
                pytest.fail(f"{block.where}: {line!r} is refused: {error.format_message()}")


@every_page
def test_commands_within_sentences_are_there(page):
    for span in spans(page):
        for line, (name, *arguments) in commands(span):
            if PLACEHOLDER.match(name) or name.startswith("-"):
                known, named = all_options(), {name} if name.startswith("-") else set()
            else:
                assert name in COMMANDS, f"{span.where}: there is no command in {line!r}"
                known, named = options_of(name), set()
            named |= {one for one in arguments if OPTION.match(one)}
            assert named <= known, f"{span.where}: {line!r} has {named - known}, which is no option of it"


@pytest.mark.parametrize("page", sorted(set(PAGES) - {"CONTRIBUTING.md", "docs/benchmarks.md"}))
def test_options_within_sentences_are_there(page):
    """Those of some command; in CONTRIBUTING and about the benchmarks they are of other programs."""
    known = all_options()
    for span in spans(page):
        option = re.split(r"[ =]", span.text)[0]
        if OPTION.match(option) and option.startswith("--"):
            begins = option.endswith("-") and any(one.startswith(option) for one in known)
            assert option in known or begins, f"{span.where}: no command has the option {option}"


def test_every_command_is_on_the_page_of_the_command_line():
    said = {name for span in spans("docs/command-line.md") for _, (name, *_) in commands(span)}
    assert set(COMMANDS) <= said, f"docs/command-line.md lacks {set(COMMANDS) - said}"


@pytest.mark.parametrize(
    ("page", "model", "parameter"),
    [
        ("docs/align.md", AlignParameters, "method"),
        ("docs/align.md", AlignParameters, "axis"),
        ("docs/align.md", AlignParameters, "specimen"),
        ("docs/spectra.md", MapParameters, "method"),
        ("docs/methods.md", ReconstructParameters, "method"),
        ("docs/methods.md", ReconstructParameters, "filter"),
        ("docs/methods.md", ReconstructParameters, "order"),
    ],
)
def test_methods_are_explained(page, model, parameter):
    """Each by its name, in code or in italics, beside the table of options, which only lists them."""
    choices = set(get_args(model.model_fields[parameter].annotation))
    assert choices
    missing = choices - marked_words(page)
    assert not missing, f"{page} does not explain {missing}, which --{parameter} may be"


def marked_words(page):
    emphasised = set(re.findall(r"\*([\w-]+)\*", prose(page)))
    return emphasised | {word for span in spans(page) for word in re.split(r"[\s,=]+", span.text)}


def test_every_step_is_on_the_page_of_recipes():
    missing = set(STEPS) - marked_words("docs/recipes.md")
    assert not missing, f"docs/recipes.md lacks the steps {missing}"


def test_every_format_is_on_the_page_of_files():
    missing = set(readable_suffixes()) - marked_words("docs/files.md")
    assert not missing, f"docs/files.md lacks the endings {missing}"


def test_every_dock_is_on_some_page():
    manifest = yaml.safe_load((ROOT / "src/napari_chemtomo/napari.yaml").read_text(encoding="utf-8"))
    said = " ".join(" ".join(prose(page).split()) for page in PAGES)
    for dock in manifest["contributions"]["widgets"]:
        name = dock["display_name"]
        assert re.search(rf"\*{name}|> {name}|\*\*{name}", said), f"no page tells of the dock {name}"


@every_page
def test_make_targets_are_there(page):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for passage in (*blocks(page), *spans(page)):
        for line, words in commands(passage, "make"):
            assert words[0] in targets, f"{passage.where}: the Makefile has no target for {line!r}"


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md"])
def test_links_lead_somewhere(page):
    path = PAGES.get(page, ROOT / page)
    for link in links(page) if page in PAGES else []:
        if re.match(r"[a-z]+:", link.text):
            assert link.text.startswith("https://"), f"{link.where}: {link.text}"
            continue
        target, _, anchor = link.text.partition("#")
        file = (path.parent / target) if target else path
        assert file.exists(), f"{link.where}: there is no file {target}"
        if anchor:
            assert anchor in anchors(file), f"{link.where}: {file.name} has no heading #{anchor}"


def test_the_questions_of_strangers_are_answered_by_names_that_are_there():
    text = (
        (ROOT / "CONTRIBUTING.md")
        .read_text(encoding="utf-8")
        .partition("Three questions")[2]
        .partition("##")[0]
    )
    answers = re.findall(r"`([\w.]+)`\s+in\s+`(chemtomo/[\w/]+\.py)`", text)
    assert len(answers) == 3
    for name, file in answers:
        source = (ROOT / "src" / file).read_text(encoding="utf-8")
        for part in name.split("."):
            assert re.search(rf"^ *(def|class) {part}\b", source, re.MULTILINE), f"{file} has no {part}"


def test_every_page_is_in_the_contents():
    text = yaml.safe_dump(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    missing = [path.name for path in (ROOT / "docs").glob("*.md") if path.name not in text]
    assert not missing


def test_every_public_name_is_in_the_reference():
    """Those of the top level by name, and each package below it as a whole."""
    top = set(re.findall(r"\[`(\w+)`\]\[chemtomo\.", prose("docs/api.md")))
    names = {name for name in chemtomo.__all__ if not isinstance(getattr(chemtomo, name), ModuleType)}
    assert names - {"__version__"} == top
    packages = {path.parent.name for path in (ROOT / "src/chemtomo").glob("*/__init__.py")} - {"cli"}
    shown = re.findall(r"^::: chemtomo\.(\w+)$", prose("docs/api-rooms.md"), re.MULTILINE)
    assert set(shown) == packages


def test_the_reference_shows_names_that_are_there():
    for page in ("docs/api.md", "docs/api-rooms.md"):
        named = re.findall(r"^::: (\S+)$|\]\[(chemtomo[.\w]+)\]", prose(page), re.MULTILINE)
        assert named
        for name in (one or other for one, other in named):
            assert is_there(name), f"{page}: there is no {name}; was it moved?"


@every_page
def test_tables_of_parameters_are_of_models_that_are_there(page):
    filled = on_page_markdown(prose(page))
    assert "<!-- parameters" not in filled


@every_page
def test_files_of_the_project_are_where_they_are_said_to_be(page):
    top = r"(src|tests|docs|tools|packaging|benchmarks|chemtomo|napari_chemtomo|\.ci|\.github)"
    for span in spans(page):
        if re.match(rf"^{top}/[\w./*-]*$", span.text):
            found = [match for base in (ROOT, ROOT / "src") for match in base.glob(span.text.rstrip("/"))]
            assert found, f"{span.where}: there is no {span.text}; was it moved?"


@every_page
def test_names_of_python_are_there(page):
    for span in spans(page):
        name = re.match(r"^(?:napari_)?chemtomo(?:\.\w+)+(?=$|\()", span.text)
        if name and not re.search(r"\.(py|zarr|json|toml|yaml|cl)$", name[0]):
            assert is_there(name[0]), f"{span.where}: there is no {name[0]}; was it moved?"


@every_page
def test_names_in_pieces_of_python_are_there(page):
    """Also where an example cannot run here."""
    for block in blocks(page):
        if block.language == "python":
            for name in re.findall(
                r"^(?!from).*?\b((?:napari_)?chemtomo(?:\.\w+)+)", block.text, re.MULTILINE
            ):
                assert is_there(name), f"{block.where}: there is no {name}; was it moved?"


def is_there(dotted):
    """Tell whether a module, or what is in it, has this name."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@every_page
def test_modules_that_are_run_are_there(page):
    for passage in (*blocks(page), *spans(page)):
        for line, words in commands(passage, "python"):
            if words[:1] == ["-m"]:
                file = ROOT.joinpath(*words[1].split("."))
                places = [file, ROOT / "src" / file.relative_to(ROOT)]
                assert any(one.is_dir() or one.with_suffix(".py").is_file() for one in places), (
                    f"{passage.where}: {line!r} runs no module of the project"
                )


@every_page
def test_recipes_are_read(page, tmp_path):
    for block in blocks(page):
        if block.language == "toml":
            file = tmp_path / "recipe.toml"
            file.write_text(block.text, encoding="utf-8")
            steps = tomllib.loads(block.text)["steps"]
            assert len(Recipe.load(file).steps) == len(steps), block.where


def test_a_wrong_page_is_told():
    """The tests above find what they look for."""
    from tests.documentation.pages import Passage

    ((line, words),) = commands(Passage("here", "$ no\nchemtomo reconstruct a \\\n  --no-such 'b c'  # why"))
    assert words == ["reconstruct", "a", "--no-such", "b c"]
    assert line.startswith("chemtomo reconstruct a")
    with pytest.raises(USAGE_ERROR, match="no-such"):
        COMMANDS["reconstruct"].make_context("reconstruct", words[1:])
    assert not is_there("chemtomo.nothing")
    assert is_there("chemtomo.io.read")
    assert "what-is-in-it" in anchors(PAGES["docs/recipes.md"])
