"""Numbers that a float can hardly hold: what was written as more than nothing never reads as 0."""

from math import nextafter

from exo_supervisor.config.unfit import Unfit

LEAST = 1e-12
"""Of anything: an amount of money has no smaller part."""


def number_of(digits: str) -> float:
    """Return the float that a text in TOML stands for; one that rounds to 0 stays beside it."""
    value = float(digits)
    if value or not set(digits.lower().partition("e")[0]) & set("123456789"):
        return value
    return nextafter(0.0, -1.0 if digits.startswith("-") else 1.0)


def too_small(where: str, value: object, index: int | None = None) -> Unfit | None:
    """Refuse what would count as 0, and often mean the contrary of it: no limit, no price."""
    if type(value) is float and 0 < abs(value) < LEAST:
        message = f"{where} is too small to count"
        return Unfit("bad_value", message, f"the least is {LEAST:.12f}", index)
    return None
