"""Keys whose value is a small table of numbers: a client's rates, and budgets."""

from collections.abc import Callable
from typing import cast

from exo_supervisor.config.literal import shown
from exo_supervisor.config.number import too_small
from exo_supervisor.config.similar import similar
from exo_supervisor.config.unfit import Unfit
from exo_supervisor.core.books.amount import MOST, amount_of

_MAX_A_MINUTE = 1_000_000_000


def take_rates(key: str, value: object) -> dict[str, int] | Unfit:
    """Return both rates, 0 where none was said, or the first thing that is wrong with them."""
    what = "requests and tokens a minute"
    example = "for example { requests = 60, tokens = 100000 }"
    wants = f"a whole number from 0 to {_MAX_A_MINUTE}"
    taken = _take(key, value, {"requests": 0, "tokens": 0}, what, example, _is_rate, wants)
    return cast("dict[str, int] | Unfit", taken)


def take_budget(key: str, value: object) -> dict[str, float] | Unfit:
    """Return what may be spent in each span, 0 where none was said, or what is wrong with it."""
    spans = {"day": 0.0, "month": 0.0} | ({"session": 0.0} if key == "client.budget" else {})
    what, example = "amounts by " + " and ".join(spans), "for example { day = 0.5, month = 5.0 }"
    wants = f"an amount from 0 to {MOST}"
    taken = _take(key, value, spans, what, example, _is_amount, wants)
    return (
        taken if isinstance(taken, Unfit) else {name: float(each) for name, each in taken.items()}
    )


def _take(
    key: str,
    value: object,
    defaults: dict[str, float],
    what: str,
    example: str,
    fits: Callable[[object], bool],
    wants: str,
) -> dict[str, float] | Unfit:
    if not isinstance(value, dict):
        return Unfit("wrong_type", f"{key} wants a table of {what}, got {shown(value)}", example)
    for name, each in cast("dict[str, object]", value).items():
        if name not in defaults:
            hint = similar(name[:64], defaults, "key", example)
            return Unfit("unknown_key", f"{key} has no `{shown(name)[1:-1]}`", hint)
        if not fits(each):
            return Unfit("bad_value", f"{key}.{name} wants {wants}, got {shown(each)}", example)
        if tiny := too_small(f"{key}.{name}", each):
            return tiny
    return defaults | cast("dict[str, float]", value)


def _is_rate(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MAX_A_MINUTE


def _is_amount(value: object) -> bool:
    return type(value) in (int, float) and amount_of(repr(value)) is not None
