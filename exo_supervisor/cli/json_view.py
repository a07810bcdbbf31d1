"""Reading the service's JSON with trust in nothing: what is missing is `-`, empty, or 0."""

import json
from typing import cast

from exo_supervisor.cli.errors import VerbError
from exo_supervisor.cli.term import cell
from exo_supervisor.client.json_object import Fields, values

_ENDLESS = 1e12


def parse_object(raw: bytes) -> Fields:
    """Read a JSON object; raises `VerbError` for anything else."""
    try:
        found = cast("object", json.loads(raw))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise VerbError(
            "what answers on this socket is not exo-supervisor",
            why=["its answer is no JSON object"],
            hint="exo-supervisor status --socket PATH",
        )
    return cast("Fields", found)


def texts(value: object) -> list[str]:
    """Take the texts of a list, or one text alone, each clean and not empty."""
    alone = [value] if isinstance(value, str) else values(value)
    return [text for each in alone if isinstance(each, str) and (text := cell(each))]


def word(value: object) -> str:
    """Write one value for a cell of a table, `-` for none."""
    if value is None or isinstance(value, (dict, list)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return cell(str(value)) or "-"


def seconds(value: object) -> float:
    """Take a duration, 0 where there is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    return float(value) if 0 <= value < _ENDLESS else 0.0


def stamp(value: object) -> str | None:
    """Take a time as it is written."""
    return value if isinstance(value, str) else None
