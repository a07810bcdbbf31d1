"""The configuration in force as TOML, each value with where it came from."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from msgspec import Struct
from msgspec.structs import fields

from exo_supervisor.config.literal import literal, printable
from exo_supervisor.config.read import Settings
from exo_supervisor.config.schema import Provider
from exo_supervisor.config.shown import without_passwords
from exo_supervisor.config.tables import LISTED

_NONE_SAID: Mapping[str, str] = MappingProxyType({})
_COMMENT_COLUMN = 40  # where a line's origin stands, unless the value is longer


def render(settings: Settings, keys_set: Mapping[str, str] = _NONE_SAID) -> str:
    """Promise TOML that reads back as the same configuration, one key a line, its origin behind.

    Only what a proxy is told of us is left out.

    `keys_set` says of a provider, by name, whether its key is set: no key is ever an argument.
    """
    lines: list[str] = []
    config = without_passwords(settings.config)
    for part in fields(config):
        name = part.encode_name
        value: object = getattr(config, part.name)
        if name not in LISTED:
            lines += _table(f"[{name}]", name, cast("Struct", value), settings)
            continue
        for index, entry in enumerate(cast("tuple[Struct, ...]", value)):
            said = keys_set.get(entry.name, "") if isinstance(entry, Provider) else ""
            lines += _table(f"[[{name}]]", f"{name}[{index}]", entry, settings, said)
    return "\n".join(lines)


def _table(heading: str, label: str, table: Struct, settings: Settings, key: str = "") -> list[str]:
    lines = [heading]
    for part in fields(table):
        value: object = getattr(table, part.name)
        origin = printable(settings.origins.get(f"{label}.{part.encode_name}", "default"))
        if part.encode_name == "key_env" and key:
            origin = f"{origin}; {printable(key)}"
        text = (
            f"# {part.encode_name} is unset"
            if value is None
            else f"{part.encode_name} = {literal(value)}"
        )
        lines.append(f"{text:<{_COMMENT_COLUMN}} # {origin}")
    return [*lines, ""]
