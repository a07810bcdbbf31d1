"""How much more a provider says that it takes, before it has to refuse anybody."""

from typing import Literal

from msgspec import Struct

from exo_supervisor.core.estimate import expected_tokens

Kind = Literal["requests", "tokens"]


class Allowance(Struct, frozen=True):
    """So many requests or tokens are left until the reset, which is in so many seconds."""

    kind: Kind
    left: int
    reset: float


def spent_for(told: tuple[Allowance, ...], under_way: int, size: int) -> float:
    """Return the seconds for which a provider takes no more; 0: it does.

    So it is where nothing is left, or less than the `under_way` beside this request need, for it
    may not have counted those; of tokens, where another prompt of this `size` does not fit.
    """
    need: dict[Kind, int] = {
        "requests": max(1, under_way),
        "tokens": expected_tokens(size),
    }
    return max((each.reset for each in told if each.left < need[each.kind]), default=0.0)
