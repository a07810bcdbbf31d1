"""A configuration while it is put together: what was accepted, from where, and what was not."""

from collections.abc import Callable, Container, Mapping
from types import MappingProxyType

import msgspec
from msgspec import NODEFAULT

from exo_supervisor.config.fault import ConfigFault, Kind, Position
from exo_supervisor.config.presets import preset_of
from exo_supervisor.config.rules import UnfitError, take
from exo_supervisor.config.schema import Config
from exo_supervisor.config.tables import KEYS, LISTED, SINGLE
from exo_supervisor.config.where import expand

PATHS = frozenset({"server.socket", "discovery.manual_file"})
"Keys whose value is a path, in which a home is written out."

At = Callable[[int | None], Position]
"Where a value stands, or the element of it with this index."


class Builder:
    """Accepted values by table (`health`, `provider[0]`); what is put later replaces the former."""

    def __init__(self, environ: Mapping[str, str] = MappingProxyType({})) -> None:
        self._environ = environ
        self.values: dict[str, dict[str, object]] = {table: {} for table in SINGLE}
        self.places: dict[str, At] = {}
        self.tables: dict[str, Position] = {}
        "The listed tables, by label, in the order of the file, and where each begins."
        self.provider_names: set[str] = set()
        "All names given, those of refused providers too, so that one fault is told once."
        self.faults: list[ConfigFault] = []

    def put(self, label: str, key: str, value: object, at: At) -> None:
        table = label.partition("[")[0]
        dotted = f"{label}.{key}"
        if f"{table}.{key}" in PATHS and isinstance(value, str):
            value = expand(value, self._environ)
        try:
            taken = take(table, KEYS[table][key], value)
        except UnfitError as error:
            for unfit in error.found:
                element = "" if unfit.index is None else f"[{unfit.index}]"
                self.refuse(
                    at(unfit.index), dotted + element, unfit.kind, unfit.message, unfit.hint
                )
            return
        self.values[label][key] = taken
        self.places[dotted] = at

    def fill(self, label: str, preset: str, given: Container[str]) -> None:
        """Put what a preset says where the row itself says nothing."""
        place = Position(f'preset "{preset}"')
        for key, value in preset_of(preset).given().items():
            if key not in given:
                self.put(label, key, value, lambda _index: place)

    def refuse(self, place: Position, key: str, kind: Kind, message: str, hint: str = "") -> None:
        self.faults.append(place.fault(key, kind, message, hint))

    def refuse_value(
        self, dotted: str, message: str, hint: str = "", index: int | None = None
    ) -> None:
        """Refuse the value that was put at a dotted key, or one element of it."""
        element = "" if index is None else f"[{index}]"
        self.refuse(self.places[dotted](index), dotted + element, "bad_value", message, hint)

    def get(self, label: str, key: str) -> object:
        """Promise the value put last, else the default; None where there is neither."""
        info, given = KEYS[label.partition("[")[0]][key], self.values[label]
        if key in given or info.required:
            return given.get(key)
        return info.default if info.default_factory is NODEFAULT else info.default_factory()

    def listed(self, table: str) -> list[str]:
        return [label for label in self.tables if label.startswith(f"{table}[")]

    def config(self) -> Config:
        tree: dict[str, object] = {table: self.values[table] for table in SINGLE}
        for table in LISTED:
            tree[table] = [self.values[label] for label in self.listed(table)]
        return msgspec.convert(tree, Config, strict=True)

    def origins(self) -> Mapping[str, str]:
        labels = [*SINGLE, *self.tables]
        origins: dict[str, str] = {}
        for label in labels:
            for key in KEYS[label.partition("[")[0]]:
                at = self.places.get(f"{label}.{key}")
                origins[f"{label}.{key}"] = at(None).origin if at else "default"
        return origins
