"""What a provider's list of models says that they cost, as OpenRouter writes it.

Each is dollars, as a text, for one token or one request. What hangs on a picture or a search is not
told by any count of tokens, and so is no part of it.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import UNSET, UnsetType

from exo_supervisor.core.books.amount import amount_of, pico_of
from exo_supervisor.core.books.price import Price
from exo_supervisor.wire.untrusted_json import as_object

_WHOLES: Mapping[str, str] = MappingProxyType({"input": "prompt", "output": "completion"})
_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "cached": "input_cache_read",
        "cache_write": "input_cache_write",
        "reasoning": "internal_reasoning",
        "request": "request",
    }
)


def price_of(card: dict[str, object]) -> Price | UnsetType | None:
    """Read a model's price; UNSET: it tells none, None: it tells one that nobody can reckon with.

    `-1` is what varies. A part for nothing beside a whole that costs is not told in earnest: it
    costs what the whole does.
    """
    told = as_object(card.get("pricing"))
    wholes = {name: told.get(theirs) for name, theirs in _WHOLES.items()}
    if not all(isinstance(each, str) for each in wholes.values()):
        return UNSET
    found = {name: _pico(each) for name, each in wholes.items()}
    for name, theirs in _PARTS.items():
        part = _pico(told[theirs]) if told.get(theirs) is not None else 0
        if part != 0 or not any(found.values()):
            found[name] = part
    try:
        return msgspec.convert(found, Price)
    except msgspec.ValidationError:
        return None


def _pico(digits: object) -> int:
    """Return pico-units a token, -1 for what is none."""
    amount = amount_of(digits) if isinstance(digits, str) else None
    return -1 if amount is None else pico_of(amount)
