"""How much a client may ask for in a minute, as its row says it."""

from difflib import get_close_matches
from typing import cast

from exo_supervisor.config.literal import shown
from exo_supervisor.config.unfit import Unfit

_RATES = ("requests", "tokens")
_MAX_A_MINUTE = 1_000_000_000
_EXAMPLE = "for example { requests = 60, tokens = 100000 }"


def take_rates(key: str, value: object) -> dict[str, int] | Unfit:
    """Return both rates, 0 where none was said, or the first thing that is wrong with them."""
    if not isinstance(value, dict):
        message = f"{key} wants a table of requests and tokens a minute, got {shown(value)}"
        return Unfit("wrong_type", message, _EXAMPLE)
    rates = cast("dict[str, object]", value)
    for name, each in rates.items():
        if name not in _RATES:
            near = get_close_matches(name[:64], _RATES, n=1)
            hint = f"similar key: `{near[0]}`" if near else _EXAMPLE
            return Unfit("unknown_key", f"{key} has no `{shown(name)[1:-1]}`", hint)
        if type(each) is not int or not 0 <= each <= _MAX_A_MINUTE:
            message = (
                f"{key}.{name} wants a whole number from 0 to {_MAX_A_MINUTE}, got {shown(each)}"
            )
            return Unfit("bad_value", message, _EXAMPLE)
    return {name: cast("int", rates.get(name, 0)) for name in _RATES}
