"""Fill the documentation with what the program says about itself.

A line ``<!-- parameters: NAME -->`` in a page becomes the table of the parameters of the model
``NAME`` in `chemtomo.pipeline`, so that no page repeats a default.
"""

import re
from typing import Any, get_args

import annotated_types
from pydantic.fields import FieldInfo

import chemtomo.cli.app  # noqa: F401 - all models of the commands are known then
from chemtomo.parameters import Parameters

MARK = re.compile(r"^<!-- parameters: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page by tables; mkdocs calls this for every page."""
    return MARK.sub(lambda found: parameter_table(found.group(1)), markdown)


def parameter_table(name: str) -> str:
    """Return the table of the model `name` in Markdown."""
    rows = ["| option | default | may be | |", "|---|---|---|---|"]
    model = _models()[name]
    prefix = getattr(model, "operation", None)
    for key, field in model.offered().items():
        name = key if prefix is None else f"{prefix}_{key}"
        option = "--" + name.replace("_", "-")
        cells = (f"`{option}`", default_text(field), bounds_text(field), field.description or "")
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _models() -> dict[str, type[Parameters]]:
    found: dict[str, type[Parameters]] = {}
    waiting = Parameters.__subclasses__()
    while waiting:
        model = waiting.pop()
        found[model.__name__] = model
        waiting += model.__subclasses__()
    return found


def default_text(field: FieldInfo) -> str:
    """Say what a field is when it is not given."""
    value = field.get_default(call_default_factory=True)
    if value in (None, {}, ()):
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def bounds_text(field: FieldInfo) -> str:
    """Say what a field may be: its choices or its bounds."""
    choices = [str(one) for one in get_args(field.annotation) if isinstance(one, str | int)]
    signs = {
        annotated_types.Gt: ">",
        annotated_types.Ge: "≥",
        annotated_types.Lt: "<",
        annotated_types.Le: "≤",
    }
    bounds = [
        f"{sign} {getattr(one, kind.__name__.lower()):g}"
        for one in field.metadata
        for kind, sign in signs.items()
        if isinstance(one, kind)
    ]
    return ", ".join([f"`{one}`" for one in choices] + bounds)
