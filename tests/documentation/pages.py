"""The pages of the documentation, taken apart."""

from __future__ import annotations

import dataclasses
import re
import shlex
import unicodedata
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
}
_FENCED = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Passage:
    """A block of code, or a piece of code within a sentence, and where it stands."""

    where: str
    text: str
    language: str = ""


def blocks(page: str) -> list[Passage]:
    """Return the blocks of code of a page."""
    text = PAGES[page].read_text(encoding="utf-8")
    return [
        Passage(f"{page}:{_line(text, found.start())}", _unindented(found[3], found[1]), found[2])
        for found in _FENCED.finditer(text)
    ]


def spans(page: str) -> list[Passage]:
    """Return the pieces of code within sentences and tables of a page."""
    text = prose(page)
    return [
        Passage(f"{page}:{_line(text, found.start())}", " ".join(found[1].split()))
        for found in re.finditer(r"`([^`]+)`", text)
    ]


def prose(page: str) -> str:
    """Return the text of a page with its blocks of code left empty, on the same lines."""
    text = PAGES[page].read_text(encoding="utf-8")
    return _FENCED.sub(lambda found: "\n" * found[0].count("\n"), text)


def links(page: str) -> list[Passage]:
    """Return the targets of links and pictures of a page."""
    text = prose(page)
    return [
        Passage(f"{page}:{_line(text, found.start())}", found[1] or found[2])
        for found in re.finditer(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text)
    ]


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page, as mkdocs and GitHub name them."""
    text = _FENCED.sub("", path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *#*$", text, re.MULTILINE):
        plain = unicodedata.normalize("NFKD", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading))
        name = re.sub(r"[^\w\s-]", "", plain.encode("ascii", "ignore").decode()).strip().lower()
        found.add(re.sub(r"[-\s]+", "-", name))
    return found


def commands(passage: Passage, program: str = "chemtomo") -> Iterator[tuple[str, list[str]]]:
    """Yield the lines of a passage that call a program, each with its arguments as a shell splits them."""
    for line in passage.text.replace("\\\n", " ").splitlines():
        if line.split()[:1] == [program] and (words := shlex.split(line, comments=True)[1:]):
            yield " ".join(line.split()), words


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _unindented(text: str, indent: str) -> str:
    return re.sub(f"^{indent}", "", text, flags=re.MULTILINE)
