"""A value as TOML writes it, for the rendered configuration and for messages."""

import math
from datetime import date, time
from typing import cast

_SHOWN = 40  # characters of a value that a message repeats


def literal(value: object) -> str:
    """Promise TOML v1.0.0 text on one line that reads back as `value`, safe on a terminal."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + "".join(map(_escaped, value)) + '"'
        case float() if math.isnan(value):
            return "nan"
        case int() | float():
            return str(value)
        case date() | time():
            return value.isoformat()
        case list() | tuple():
            items = cast("list[object] | tuple[object, ...]", value)
            return "[" + ", ".join(map(literal, items)) + "]"
        case dict():
            members = cast("dict[str, object]", value).items()
            inner = ", ".join(f"{literal(key)} = {literal(each)}" for key, each in members)
            return f"{{{inner}}}"
        case _:
            raise TypeError(f"no TOML literal for {type(value).__name__}")


def shown(value: object) -> str:
    """Promise at most 43 characters that tell a person which value is meant."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, int) and abs(value) >= 10**_SHOWN:
        return "a huge number"
    text = literal(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def printable(text: str) -> str:
    """Promise one line without control characters, each replaced by one `?` (a tab by a blank)."""
    return "".join(" " if char == "\t" else char if char.isprintable() else "?" for char in text)


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"  # noqa: PLR2004 - the widths are the format
