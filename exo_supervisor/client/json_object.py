"""Reads JSON with trust in nothing: what is missing is empty, or 0."""

import json
from typing import cast

Fields = dict[str, object]


def read_object(raw: str | bytes) -> Fields:
    """Read a JSON object; what is none says nothing."""
    try:
        return fields(cast("object", json.loads(raw)))
    except (ValueError, RecursionError):
        return {}


def fields(value: object) -> Fields:
    """Take an object, empty where there is none."""
    return cast("Fields", value) if isinstance(value, dict) else {}


def values(value: object) -> list[object]:
    """Take a list, empty where there is none."""
    return cast("list[object]", value) if isinstance(value, list) else []


def objects(value: object) -> list[Fields]:
    """Take the objects of a list."""
    return [cast("Fields", each) for each in values(value) if isinstance(each, dict)]


def count(value: object) -> int:
    """Take a whole number, 0 where there is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
