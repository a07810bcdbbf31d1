"""Amounts of money as their digits say them: no float ever stands for one."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

PICO = 10**12
"""Pico-units in one unit of money."""
MOST = 10**9
"""Units that anything here can cost: more is a slip, and would upset every sum."""


def amount_of(digits: str) -> Decimal | None:
    """Read an amount of money; None: it is negative, no number, or beyond belief."""
    try:
        amount = Decimal(digits)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount <= MOST else None


def pico_of(amount: Decimal, per: int = 1) -> int:
    """Return pico-units of `per` parts of an amount; what costs anything costs at least one."""
    pico = int((amount * PICO / per).to_integral_value(ROUND_HALF_UP))
    return pico or int(amount > 0)


def digits_of(pico: int) -> str:
    """Write pico-units as people read money: at least two decimals, and no more than there are."""
    whole, part = divmod(pico, PICO)
    return f"{whole}.{f'{part:012}'.rstrip('0'):0<2}"
