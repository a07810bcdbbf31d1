"""When an answer says that its target may be asked again."""

from collections.abc import Mapping
from datetime import UTC, datetime

MAX_WAIT = 3600.0
"""Seconds; a target that names a later time is asked again after one hour."""


def seconds(text: str) -> float | None:
    """Read a number of seconds, at most MAX_WAIT; None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return min(number, MAX_WAIT) if number >= 0 else None


def retry_after(headers: Mapping[str, str], now_wall: float) -> float | None:
    """Return the seconds to leave a target alone for; the names of `headers` are in lower case.

    A date is reckoned from the answer's own `Date`, since either clock may be wrong; where it has
    none, from `now_wall`, in seconds since the epoch (RFC 9110, section 10.2.3).
    """
    thousandths = headers.get("retry-after-ms")
    if thousandths is not None and (wait := seconds(f"{thousandths}e-3")) is not None:
        return wait
    value = headers.get("retry-after", "")
    if (wait := seconds(value)) is not None:
        return wait
    at = moment(value)
    if at is None:
        return None
    began = moment(headers.get("date", ""))
    return min(max(at - (now_wall if began is None else began), 0.0), MAX_WAIT)


def moment(value: str) -> float | None:
    """Read a date of HTTP as seconds since the epoch."""
    try:
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - few answers name a date

        at: datetime = parsedate_to_datetime(value)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        return at.timestamp()
    # The last two: no descriptor is left to read dates by.
    except (ValueError, TypeError, OverflowError, IndexError, ImportError, OSError):
        return None
