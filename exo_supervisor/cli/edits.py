"""What an entry of ours makes of a program's own file: text in, text out, or a ValueError.

The error says in words why the file stays as it is. Nothing that is in a file is lost: what cannot
be merged as a text is refused.
"""

import json
import re
from collections.abc import Mapping
from typing import cast

from exo_supervisor.client.json_object import Fields, fields


def merged_json(text: str, entry: Fields) -> str:
    """Merge an entry into a JSON object, members of members too."""
    try:
        found = cast("object", json.loads(text))
    except ValueError as error:
        raise ValueError(f"it is no plain JSON ({error}): {_why_not(text)}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    merged = deep_merge(cast("Fields", found), entry)
    return json.dumps(merged, indent=2, ensure_ascii=False) + "\n"


def _why_not(text: str) -> str:
    commented = re.search(r"^\s*//|/\*|,\s*[}\]]", text, re.MULTILINE)
    return "comments would be lost" if commented else "it may be torn, mend it first"


def deep_merge(below: Fields, above: Fields) -> Fields:
    """Put one object over another, members of members too; what is under it is left as it was."""
    merged = dict(below)
    for name, value in above.items():
        inner = merged.get(name)
        both = isinstance(inner, dict) and isinstance(value, dict)
        merged[name] = deep_merge(fields(inner), fields(value)) if both else value
    return merged


def merged_toml(text: str, entry: Fields) -> str:
    """Set keys at the top of a TOML file, and add tables at its end."""
    from tomllib import loads

    before = cast("Fields", loads(text))  # its error is a ValueError that says where
    keys = {name: value for name, value in entry.items() if not isinstance(value, dict)}
    tables = {name: fields(value) for name, value in entry.items() if isinstance(value, dict)}
    top, end = _split_toml(text)
    for name, value in keys.items():
        line = f"{name} = {json.dumps(value)}"
        top, count = re.subn(rf"^{name}[ \t]*=.*$", lambda _, line=line: line, top, flags=re.M)
        top = top if count else f"{line}\n{top}"
    added = "".join(
        f"\n[{outer}.{name}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in inner.items())
        for outer, members in tables.items()
        for name, inner in ((name, fields(value)) for name, value in members.items())
    )
    merged = f"{_ended(top + end)}{added}"
    try:
        kept = loads(merged) == deep_merge(before, entry)
    except ValueError:
        kept = False
    if not kept:
        raise ValueError(f"it sets {' or '.join(entry)} in a way that only a person can change")
    return merged


def _split_toml(text: str) -> tuple[str, str]:
    table = re.search(r"^[ \t]*\[", text, re.MULTILINE)
    return (text, "") if table is None else (text[: table.start()], text[table.start() :])


def merged_yaml(text: str, entry: object) -> str:
    """Add keys to a YAML mapping, items to a list in it, or items to a list that is all of it."""
    if re.search(r"^[{\[]|^\.\.\.", text, re.MULTILINE) or "\t" in text:
        raise ValueError("it is YAML of a kind that only a person can change")
    if isinstance(entry, list):
        dash = re.search(r"^( *)- ", text, re.MULTILINE)
        if re.search(r"^\w", text, re.MULTILINE):
            raise ValueError("it is no list")
        indent = len(dash[1]) if dash else 0
        return _ended(text) + "".join(_item(each, indent) for each in _mappings(entry))
    for name, value in fields(entry).items():
        line = re.search(rf"^{name}[ \t]*:(.*)$", text, re.MULTILINE)
        if isinstance(value, list):
            text = _with_items(text, name, line, cast("list[object]", value))
        elif line is not None:
            number = text[: line.start()].count("\n") + 1
            raise ValueError(f"line {number} sets {name} already: take it out first")
        else:
            text = f"{_ended(text)}{name}: {json.dumps(value)}\n"
    return text


def _with_items(text: str, name: str, line: "re.Match[str] | None", value: list[object]) -> str:
    if line is None:
        return f"{_ended(text)}{name}:\n" + "".join(_item(each, 2) for each in _mappings(value))
    if line[1].partition("#")[0].strip():
        raise ValueError(f"its {name} stand on one line: write them below each other first")
    rest = text[line.end() :]
    dash = re.match(r"(?:[ \t]*(?:#.*)?\n)*( *)- ", rest)
    items = "".join(_item(each, len(dash[1]) if dash else 2) for each in _mappings(value))
    return f"{text[: line.end()]}\n{items}{rest.removeprefix(chr(10))}"


def _item(item: Mapping[str, object], indent: int) -> str:
    """Write one mapping of a list; JSON's scalars are YAML's, too."""
    lines = [f"{name}: {json.dumps(value)}" for name, value in item.items()]
    return "".join(
        f"{' ' * indent}{'  ' if place else '- '}{line}\n" for place, line in enumerate(lines)
    )


def _mappings(value: list[object]) -> list[Fields]:
    return [fields(each) for each in value]


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
