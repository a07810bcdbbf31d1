"""What a kWh costs by the time of day, as `power.tariff` says it."""

from typing import Annotated, cast

import msgspec
from msgspec import Meta, Struct

from exo_supervisor.config.literal import shown
from exo_supervisor.config.number import too_small
from exo_supervisor.config.unfit import Unfit
from exo_supervisor.config.values import UnitPrice

_EXAMPLE = 'for example [{ from = "00:00", price = 0.30 }]'
_MOST = 96
"""Steps of a day: each quarter of an hour."""


class _Step(Struct, forbid_unknown_fields=True, rename={"since": "from"}):
    since: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d\Z")]
    price: UnitPrice


def take_tariff(key: str, value: object) -> list[dict[str, object]] | Unfit:
    """Return the steps in the order of the day, or the first thing that is wrong with them."""
    given = cast("list[object] | str", value if isinstance(value, list) else shown(value))
    if isinstance(given, str) or len(given) > _MOST:
        got = given if isinstance(given, str) else "more"
        message = f"{key} wants a list of at most {_MOST} steps, got {got}"
        return Unfit("wrong_type", message, _EXAMPLE)
    steps: dict[str, float] = {}
    for index, each in enumerate(given):
        where = f"{key}[{index}]"
        try:
            step = msgspec.convert(each, _Step)
        except msgspec.ValidationError:
            message = f'{where} wants a time of day `from` ("HH:MM") and a `price` from 0 on'
            return Unfit("bad_value", message, _EXAMPLE, index)
        if tiny := too_small(f"{where}.price", step.price, index):
            return tiny
        if step.since in steps:
            message = f"{where}.from {shown(step.since)} is given twice"
            return Unfit("bad_value", message, "take one of them out", index)
        steps[step.since] = step.price
    return [{"from": since, "price": price} for since, price in sorted(steps.items())]
