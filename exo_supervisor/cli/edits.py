"""What an entry of ours makes of a program's own file: text in, text out, or a NotMergedError.

The error says in words why the file stays as it is. Nothing that is in a file is lost: what cannot
be merged as a text is refused.
"""

import json
import re
from typing import cast

from exo_supervisor.client.json_object import Fields, fields, objects
from exo_supervisor.errors import SupervisorError


class NotMergedError(SupervisorError):
    """A file stays as it is; the text says why."""


def shown(kind: str, entry: object) -> str:
    """Write an entry as its file would have it."""
    return MERGES.get(kind, merged_json)("", entry)


def merged_json(text: str, entry: object) -> str:
    """Merge an entry into a JSON object, members of members too."""
    try:
        found = cast("object", json.loads(text or "{}"))
    except ValueError as error:
        raise NotMergedError(f"it is no plain JSON ({error}): {_why_not(text)}") from error
    except RecursionError as error:
        raise NotMergedError("it is nested too deeply") from error
    if not _is_object(found):
        raise NotMergedError("it is no JSON object")
    merged = deep_merge(fields(found), fields(entry))
    return json.dumps(merged, indent=2, ensure_ascii=False) + "\n"


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _why_not(text: str) -> str:
    commented = re.search(r"^\s*//|/\*|,\s*[}\]]", text, re.MULTILINE)
    return "comments would be lost" if commented else "it may be torn, mend it first"


def deep_merge(below: Fields, above: Fields) -> Fields:
    """Put one object over another, members of members too; what is under it is left as it was."""
    merged = dict(below)
    for name, value in above.items():
        inner = merged.get(name)
        both = _is_object(inner) and _is_object(value)
        merged[name] = deep_merge(fields(inner), fields(value)) if both else value
    return merged


def merged_toml(text: str, entry: object) -> str:
    """Set keys at the top of a TOML file, and add tables at its end."""
    from tomllib import loads

    before, wanted = cast("Fields", loads(text)), fields(entry)  # its ValueError says where
    top, end = _split_toml(text)
    added: list[str] = []
    for name, value in wanted.items():
        if _is_object(value):
            added += [_table(f"{name}.{inner}", each) for inner, each in fields(value).items()]
            continue
        line = f"{name} = {json.dumps(value)}"
        key = re.compile(rf"^{name}[ \t]*=.*$", re.MULTILINE)
        top = key.sub(lambda _, line=line: line, top) if key.search(top) else f"{line}\n{top}"
    merged = "".join([_ended(top + end), *added])
    try:
        kept = loads(merged) == deep_merge(before, wanted)
    except ValueError:
        kept = False
    if not kept:
        raise NotMergedError(f"it sets {' or '.join(wanted)} so that only a person can change it")
    return merged


def _table(name: str, members: object) -> str:
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in fields(members).items()]
    return f"\n[{name}]\n" + "".join(lines)


def _split_toml(text: str) -> tuple[str, str]:
    table = re.search(r"^[ \t]*\[", text, re.MULTILINE)
    return (text, "") if table is None else (text[: table.start()], text[table.start() :])


def merged_yaml(text: str, entry: object) -> str:
    """Add keys to a YAML mapping, items to a list in it, or items to a list that is all of it."""
    if re.search(r"^[{\[]|^\.\.\.", text, re.MULTILINE) or "\t" in text:
        raise NotMergedError("it is YAML of a kind that only a person can change")
    if isinstance(entry, list):
        if re.search(r"^\w", text, re.MULTILINE):
            raise NotMergedError("it is no list")
        dash = re.search(r"^( *)- ", text, re.MULTILINE)
        return _ended(text) + _items(cast("object", entry), len(dash[1]) if dash else 0)
    for name, value in fields(entry).items():
        line = re.search(rf"^{name}[ \t]*:(.*)$", text, re.MULTILINE)
        if isinstance(value, list):
            text = _with_items(text, name, line, cast("object", value))
        elif line is not None:
            number = text[: line.start()].count("\n") + 1
            raise NotMergedError(f"line {number} sets {name} already: take it out first")
        else:
            text = f"{_ended(text)}{name}: {json.dumps(value)}\n"
    return text


def _with_items(text: str, name: str, line: "re.Match[str] | None", value: object) -> str:
    if line is None:
        return f"{_ended(text)}{name}:\n{_items(value, 2)}"
    if line[1].partition("#")[0].strip():
        raise NotMergedError(f"its {name} stand on one line: write them below each other first")
    rest = text[line.end() :]
    dash = re.match(r"(?:[ \t]*(?:#.*)?\n)*( *)- ", rest)
    items = _items(value, len(dash[1]) if dash else 2)
    return f"{text[: line.end()]}\n{items}{rest.removeprefix(chr(10))}"


def _items(value: object, indent: int) -> str:
    """Write mappings as the items of a list; JSON's scalars are YAML's, too."""
    lines = [
        f"{' ' * indent}{'  ' if place else '- '}{name}: {json.dumps(inner)}\n"
        for each in objects(value)
        for place, (name, inner) in enumerate(each.items())
    ]
    return "".join(lines)


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


MERGES = {"json": merged_json, "toml": merged_toml, "yaml": merged_yaml}
