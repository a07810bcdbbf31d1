"""From a file's text, the environment and flags to one configuration that can be trusted."""

import tomllib
from collections.abc import Mapping
from datetime import date
from math import inf
from types import MappingProxyType
from typing import cast

from msgspec import Struct

from exo_supervisor.config.builder import At, Builder
from exo_supervisor.config.cross_checks import cross_check
from exo_supervisor.config.document import Document
from exo_supervisor.config.fault import ConfigError, Position
from exo_supervisor.config.literal import printable
from exo_supervisor.config.number import number_of
from exo_supervisor.config.presets import preset_of
from exo_supervisor.config.schema import Config
from exo_supervisor.config.similar import similar
from exo_supervisor.config.tables import KEYS, LISTED, SINGLE, VARIABLES, heading

_PREFIX = "EXO_SUPERVISOR_"
_LONGEST = 16_384  # characters of one variable that are read as TOML
_NO_FLAGS: Mapping[str, object] = MappingProxyType({})


class Settings(Struct, frozen=True):
    """A configuration, and for each dotted key `default`, FILE:LINE, a variable or a flag."""

    config: Config
    origins: Mapping[str, str]
    file: str | None


def read(
    text: str | None,
    *,
    file: str,
    environ: Mapping[str, str],
    flags: Mapping[str, object] = _NO_FLAGS,
    today: date = date.max,
) -> Settings:
    """Merge flags, environment, file and defaults, in that order of precedence.

    `text` is None where there is no file; `flags` maps dotted keys to values. By `today` prices
    have to hold.

    :raises ConfigError: with every fault found: those of the file first, in its order.
    """
    builder = Builder(environ)
    if text is not None:
        _read_document(builder, Document(text, file))
    for name in sorted(environ):
        if name.startswith(_PREFIX) and "__" in name.removeprefix(_PREFIX):
            _read_variable(builder, name, environ[name])
    for dotted, value in flags.items():
        table, _, key = dotted.partition(".")
        builder.put(table, key, value, _flag(key))
    cross_check(builder, today)
    if builder.faults:
        builder.faults.sort(key=lambda fault: (fault.line or inf, fault.column or 0))
        raise ConfigError(tuple(builder.faults))
    return Settings(builder.config(), builder.origins(), None if text is None else file)


def _flag(key: str) -> At:
    place = Position("--" + key.replace("_", "-"))
    return lambda _index: place


def _read_document(builder: Builder, document: Document) -> None:
    for name, value in document.tables.items():
        if name in LISTED:
            _read_listed(builder, document, name, value)
        elif name not in SINGLE:
            _refuse_name(builder, document, name, value)
        elif isinstance(value, dict):
            _read_table(builder, document, (name,), cast("dict[str, object]", value))
        else:
            message = f"`{name}` wants to be a table"
            hint = f"write [{name}] on a line of its own, once"
            builder.refuse(document.key((name,)), name, "wrong_type", message, hint)


def _refuse_name(builder: Builder, document: Document, name: str, value: object) -> None:
    if isinstance(value, dict | list):
        hint = similar(name[:64], KEYS, "table")
        message = f"unknown table `{_short(name)}`"
    else:
        hint = _home(name) or "every key stands below the [table] it belongs to"
        message = f"unknown key `{_short(name)}` outside every table"
    builder.refuse(document.key((name,)), name, "unknown_key", message, hint)


def _read_listed(builder: Builder, document: Document, table: str, value: object) -> None:
    hint = f"write [[{table}]] on a line of its own, once for each"
    if not isinstance(value, list):
        message = f"`{table}` wants to be a list of tables"
        builder.refuse(document.key((table,)), table, "wrong_type", message, hint)
        return
    for index, entry in enumerate(cast("list[object]", value)):
        label, place = f"{table}[{index}]", document.key((table, index))
        if not isinstance(entry, dict):
            message = f"`{label}` wants to be a table"
            builder.refuse(place, label, "wrong_type", message, hint)
            continue
        entries = cast("dict[str, object]", entry)
        name = entries.get("name")
        if table == "provider" and isinstance(name, str):
            builder.provider_names.add(name)
        builder.values[label] = {}
        builder.tables[label] = place
        _read_table(builder, document, (table, index), entries)
        preset = builder.values[label].get("preset", "")
        if isinstance(preset, str) and preset:
            builder.fill(label, preset, set(entries))
        for key, info in KEYS[table].items():
            if info.required and key not in entries and key not in builder.values[label]:
                message = f"[[{table}]] has no `{key}`, which every one needs"
                example = preset_of(str(preset)).example if key == "base_url" else ""
                hint = f'for example "{example}"' if example else ""
                builder.refuse(place, f"{label}.{key}", "bad_value", message, hint)


def _read_table(
    builder: Builder, document: Document, path: tuple[str | int, ...], table: dict[str, object]
) -> None:
    name = str(path[0])
    label = name if len(path) == 1 else f"{name}[{path[1]}]"
    for key, value in table.items():
        here = (*path, key)
        if key in KEYS[name]:
            builder.put(label, key, value, _in(document, here))
            continue
        hint = _above(name, key, value) or similar(key[:64], KEYS[name], "key") or _home(key)
        if name == "provider" and any(word in key.lower() for word in ("key", "token", "secret")):
            hint = "a key stays out of this file: name its variable in `key_env`"
        message = f"unknown key `{_short(key)}` in {heading(name)}"
        builder.refuse(document.key(here), f"{label}.{key}", "unknown_key", message, hint)


def _in(document: Document, path: tuple[str | int, ...]) -> At:
    return lambda index: document.value(path if index is None else (*path, index))


def _above(name: str, key: str, value: object) -> str:
    """Tell where `server.tcp = ...` belongs that was pasted below another table's heading."""
    if key not in SINGLE or not isinstance(value, dict):
        return ""
    first = "[[...]]" if name in LISTED else "[...]"
    inner = next(iter(cast("dict[str, object]", value)), "")
    dotted = f"`{_short(key)}.{_short(inner)}`"
    return (
        f"{dotted} belongs above the first `{first}` of the file, "
        f"or as `{_short(inner)}` below [{key}]"
    )


def _home(key: str) -> str:
    found = [heading(table) for table, keys in KEYS.items() if key in keys]
    return f"`{key}` belongs in {' or '.join(found)}" if found else ""


def _short(name: str) -> str:
    return printable(name[:64]) + ("..." if len(name) > len(name[:64]) else "")


def _read_variable(builder: Builder, name: str, raw: str) -> None:
    place = Position(printable(name))
    if name not in VARIABLES:
        table = name.removeprefix(_PREFIX).partition("__")[0].lower()
        hint = similar(name[:64], VARIABLES, "variable")
        if table in LISTED:
            hint = f"[[{table}]] stands in the file only"
        builder.refuse(place, "", "unknown_key", "names no key that can be set here", hint)
        return
    table, key = VARIABLES[name]
    try:
        value = _toml_value(raw)
    except (ValueError, RecursionError):
        if raw[:1] in ('"', "'"):
            message = f"{table}.{key} got a quoted string that does not end as it began"
            builder.refuse(place, f"{table}.{key}", "syntax", message)
            return
        # A word or a path needs no quotes of TOML's own: shells and unit files eat them.
        value = raw
    builder.put(table, key, value, lambda _index: place)


def _toml_value(raw: str) -> object:
    """Read one TOML value; ValueError if it is none, or more than one, or too long to be meant."""
    if len(raw) > _LONGEST:
        raise ValueError("too long")
    read_back: dict[str, object] = tomllib.loads(f"value = {raw}", parse_float=number_of)
    if len(read_back) != 1:
        raise ValueError("more than a value")
    return read_back["value"]
