"""Execute a notebook and show it as Markdown, cell by cell, with its pictures.

A line ``<!-- notebook: FILE -->`` in a page of the documentation becomes the executed notebook of that name.
The notebook in the repository has no outputs: those of the documentation are made while it is built. Cells
are plain Python without commands of IPython, so nothing but the standard library is needed. Cells with the
tag ``skip-execution``, by the convention of nbclient, are shown and not executed.
"""

import ast
import contextlib
import html
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["SKIPPED", "execute", "executed_as_markdown", "on_page_markdown"]

MARK = re.compile(r"^<!-- notebook: (\S+) -->$", re.MULTILINE)
SKIPPED = "skip-execution"
DOCS = Path(__file__).resolve().parents[1] / "docs"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page by notebooks; mkdocs calls this for every page."""
    return MARK.sub(lambda found: executed_as_markdown(DOCS / found.group(1)), markdown)


def executed_as_markdown(path: Path) -> str:
    """Execute a notebook in an empty folder and return it as Markdown with HTML in it.

    Raises whatever a cell raises, with a note that says which one.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {"__name__": "__main__"}
    parts = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for number, cell in enumerate(cells, 1):
            source = "".join(cell["source"])
            if cell["cell_type"] != "code":
                parts.append(source)
                continue
            parts.append(f"```python\n{source}\n```")
            if SKIPPED in cell["metadata"].get("tags", ()):
                continue
            try:
                parts += execute(source, names)
            except Exception as error:
                error.add_note(f"in cell {number} of {path.name}")
                raise
    return "\n\n".join(part for part in parts if part) + "\n"


def execute(source: str, names: dict[str, Any]) -> list[str]:
    """Execute a cell and return what it shows: its printed text, and its last expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    value = None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    shown = [_text(printed.getvalue())] if printed.getvalue() else []
    if value is not None:
        shown.append(_picture(value._repr_html_()) if hasattr(value, "_repr_html_") else _text(repr(value)))
    return shown


def _picture(markup: str) -> str:
    # One line, so that it stays one block of HTML in Markdown.
    return f'<div class="output">{" ".join(markup.split())}</div>'


def _text(text: str) -> str:
    # Empty lines would end the block of HTML in Markdown.
    return "<pre>" + html.escape(text.rstrip()).replace("\n", "&#10;") + "</pre>"
