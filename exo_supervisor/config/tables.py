"""The names that a configuration may use, taken from the structs themselves."""

from collections.abc import Mapping
from types import MappingProxyType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo, fields

from exo_supervisor.config.schema import Client, Config, Model, PriceRow, Provider

LISTED: Mapping[str, type[Struct]] = MappingProxyType(
    {"provider": Provider, "model": Model, "client": Client, "price": PriceRow}
)
"Tables written `[[name]]`, any number of times."

SINGLE: Mapping[str, type[Struct]] = MappingProxyType(
    {part.encode_name: part.type for part in fields(Config) if part.encode_name not in LISTED}
)
"Tables written `[name]`, once."

KEYS: Mapping[str, Mapping[str, FieldInfo]] = MappingProxyType(
    {
        name: {part.encode_name: part for part in fields(struct)}
        for name, struct in (*SINGLE.items(), *LISTED.items())
    }
)
"The keys of each table, in the order of the file."

VARIABLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        f"EXO_SUPERVISOR_{table.upper()}__{key.upper()}": (table, key)
        for table in SINGLE
        for key in KEYS[table]
    }
)
"The environment variable of each key of a single table."


def heading(table: str) -> str:
    """Promise the table's name as the file writes it."""
    return f"[[{table}]]" if table in LISTED else f"[{table}]"


def unwrap(kind: object) -> tuple[object, Meta | None]:
    """Promise the plain type and its limits, without `| None`, which TOML cannot write."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is Annotated:
        plain, *notes = get_args(kind)
        return plain, next((note for note in notes if isinstance(note, Meta)), None)
    return kind, None


def converts(value: object, kind: object) -> bool:
    """Tell whether a value is of a kind as it stands, within its limits."""
    try:
        msgspec.convert(value, type=kind, strict=True)
    except (msgspec.ValidationError, OverflowError):
        return False
    return True


def wants(kind: object) -> str:
    """Promise the end of the sentence "KEY wants ..."."""
    plain, meta = unwrap(kind)
    if meta and meta.description:
        return meta.description
    if get_origin(plain) is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in get_args(plain))
    return "true or false"
