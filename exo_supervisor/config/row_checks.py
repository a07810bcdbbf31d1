"""Whether each name stands for one row, and rows lead to rows that are there, and to no circle."""

from typing import cast

from exo_supervisor.config.builder import Builder
from exo_supervisor.config.literal import shown
from exo_supervisor.config.similar import similar

_LEADS = ("any_of", "fallback")
"""Keys that name other rows."""
MOST_ROWS = 512
"""Rows that may follow one another, the first one included: the core goes through them by calls."""
_MOST_SHOWN = 8


def check_rows(builder: Builder) -> None:
    """Promise a fault for each name of a model that is given twice, and each that leads nowhere."""
    check_names(builder, "model", ("name", "aliases"))
    rows = {str(builder.get(label, "name")): label for label in builder.listed("model")}
    unknown = False
    for label in rows.values():
        for key in _LEADS:
            for index, name in enumerate(_texts(builder, label, key)):
                if name not in rows:
                    unknown = True
                    _refuse_unknown(builder, f"{label}.{key}", index, name, rows)
    if not unknown:
        _check_circles(builder, rows)


def check_names(builder: Builder, table: str, keys: tuple[str, ...] = ("name",)) -> None:
    """Promise a fault for each name that another row, or the same one, has already."""
    first: dict[str, int | None] = {}
    for label in builder.listed(table):
        for key in keys:
            at = builder.places.get(f"{label}.{key}")
            if at is None:
                continue
            several = key != "name"
            for index, name in enumerate(_texts(builder, label, key)):
                place = at(index if several else None)
                if name not in first:
                    first[name] = place.line
                    continue
                where = f"{key}[{index}]" if several else key
                hint = f"first on line {first[name]}" if first[name] else "rename one of them"
                message = f"{table}.{where} {shown(name)} is given twice"
                builder.refuse(place, f"{label}.{where}", "bad_value", message, hint)


def _texts(builder: Builder, label: str, key: str) -> tuple[str, ...]:
    value = builder.values[label].get(key, ())
    return (value,) if isinstance(value, str) else cast("tuple[str, ...]", value)


def _refuse_unknown(
    builder: Builder, dotted: str, index: int, name: str, rows: dict[str, str]
) -> None:
    key = dotted.rpartition(".")[2]
    message = f"model.{key}[{index}] names no [[model]], got {shown(name)}"
    hint = similar(name, rows, "name", "add the [[model]] of that name")
    builder.refuse_value(dotted, message, hint, index)


def _check_circles(builder: Builder, rows: dict[str, str]) -> None:
    """Follow each row to the rows that it leads to; a way that comes back is told once.

    So is one that is too long: each request for its first row would go through all of them. There
    may be more rows than Python has frames, so that no row follows another by a call.
    """
    lengths: dict[str, int] = {}
    for start, label in rows.items():
        way = {} if start in lengths else {start: iter(_leads(builder, label))}
        while way:
            name = next(reversed(way))
            for key, index, other in way[name]:
                if other in way:
                    names = [*way]
                    _refuse_circle(
                        builder, f"{rows[name]}.{key}", index, names[names.index(other) :]
                    )
                    return
                if other not in lengths:
                    way[other] = iter(_leads(builder, rows[other]))
                    break
            else:
                del way[name]
                leads = _leads(builder, rows[name])
                lengths[name] = 1 + max((lengths[other] for _, _, other in leads), default=0)
                if lengths[name] > MOST_ROWS:
                    key, index, _ = max(leads, key=lambda lead: lengths[lead[2]])
                    _refuse_length(builder, f"{rows[name]}.{key}", index)
                    return


def _leads(builder: Builder, label: str) -> list[tuple[str, int, str]]:
    return [
        (key, index, other)
        for key in _LEADS
        for index, other in enumerate(_texts(builder, label, key))
    ]


def _refuse_circle(builder: Builder, dotted: str, index: int, names: list[str]) -> None:
    shown = names if len(names) <= _MOST_SHOWN else [*names[:_MOST_SHOWN], "..."]
    circle = " -> ".join((*shown, names[0]))
    key = dotted.rpartition(".")[2]
    message = f"model.{key}[{index}] leads back to its own row: {circle}"
    builder.refuse_value(dotted, message, "take one of them out", index)


def _refuse_length(builder: Builder, dotted: str, index: int) -> None:
    key = dotted.rpartition(".")[2]
    message = f"model.{key}[{index}] leads on over more than {MOST_ROWS} rows, one after the other"
    builder.refuse_value(dotted, message, "list the rows in one fallback instead", index)
