"""Write TOML. The standard library only reads it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["to_toml"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 100


def to_toml(document: Mapping[str, Any]) -> str:
    """Return a TOML document: ``tomllib.loads`` gives back the same values.

    Parameters
    ----------
    document : mapping
        Text, numbers, booleans, lists and mappings of these. Lists of mappings become arrays of tables.

    Raises
    ------
    TypeError
        When there is a value that TOML cannot represent, such as None.
    """
    lines: list[str] = []
    _table(document, (), lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    inside = {key: value for key, value in table.items() if _is_tables(value)}
    for key, value in table.items():
        if key not in inside:
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, tables in inside.items():
        for one in tables:
            name = ".".join(_key(part) for part in (*path, key))
            lines += ["", f"[[{name}]]"]
            _table(one, (*path, key), lines)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return repr(value)
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, Sequence):
        parts = [_value(one) for one in value]
        short = f"[{', '.join(parts)}]"
        if len(short) <= _WIDTH or not any(isinstance(one, Sequence) for one in value):
            return short
        return "[\n" + "".join(f"    {part},\n" for part in parts) + "]"
    raise TypeError(f"found {value!r}; expected text, a number, a list or a table")


def _text(text: str) -> str:
    # TOML's basic strings have the escapes of JSON; DEL must be escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
