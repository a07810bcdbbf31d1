"""Whether a row's `defaults` are what a request may leave out, and of the types it may have."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, cast

from msgspec import Meta

from exo_supervisor.config.literal import shown
from exo_supervisor.config.similar import nearest
from exo_supervisor.config.tables import converts
from exo_supervisor.config.unfit import Unfit

_EXAMPLE = "for example { max_tokens = 1024 }"
_SAID_BY_EACH = ("model", "messages", "stream", "tools", "store")
"""Fields that are each request's own to say."""
_Count = Annotated[int, Meta(ge=1, le=2**31)]
_KNOWN: Mapping[str, tuple[object, str]] = MappingProxyType(
    {
        "max_tokens": (_Count, "a whole number above 0"),
        "max_completion_tokens": (_Count, "a whole number above 0"),
        "n": (Annotated[int, Meta(ge=1, le=128)], "a whole number from 1 to 128"),
        "dimensions": (Annotated[int, Meta(ge=1, le=65_536)], "a whole number from 1 to 65536"),
        "encoding_format": (Literal["float", "base64"], '"float" or "base64"'),
        "top_k": (int, "a whole number"),
        "seed": (int, "a whole number"),
        "temperature": (float, "a number"),
        "top_p": (float, "a number"),
        "top_a": (float, "a number"),
        "min_p": (float, "a number"),
        "repetition_penalty": (float, "a number"),
        "frequency_penalty": (float, "a number"),
        "presence_penalty": (float, "a number"),
        "stop": (str | list[str], "a text or a list of texts"),
        "reasoning_effort": (str, "a word"),
        "response_format": (dict[str, object], "a table"),
    }
)
"""Fields whose types are known; any other is for its target to judge."""
_NEAR = 0.85
"""How alike a name must be to one that is known, to be taken for it misspelt."""


def take_defaults(key: str, value: object) -> dict[str, object] | Unfit:
    """Promise the fields as they were written, or the first thing that is wrong with them."""
    if not isinstance(value, dict):
        message = f"{key} wants a table of a request's fields, got {shown(value)}"
        return Unfit("wrong_type", message, _EXAMPLE)
    fields = cast("dict[str, object]", value)
    for name, each in fields.items():
        if name in _SAID_BY_EACH:
            message = f"{key} holds `{name}`, which each request says itself"
            return Unfit("bad_value", message, "take it out")
        if not _is_json(each):
            return Unfit("bad_value", f"{key}.{name} is no value that JSON has", _EXAMPLE)
        kind, wanted = _KNOWN.get(name, (object, ""))
        if not converts(each, kind):
            return Unfit("bad_value", f"{key}.{name} wants {wanted}, got {shown(each)}", _EXAMPLE)
        if name not in _KNOWN and (near := nearest(name[:64], _KNOWN, _NEAR)):
            message = f"{key} holds `{name}`, which is no field that is known"
            return Unfit("unknown_key", message, f"similar field: `{near}`")
    return fields


def _is_json(value: object) -> bool:
    match value:
        case dict():
            return all(map(_is_json, cast("dict[str, object]", value).values()))
        case list():
            return all(map(_is_json, cast("list[object]", value)))
        case float():
            return math.isfinite(value)
        case _:
            return isinstance(value, str | int)
