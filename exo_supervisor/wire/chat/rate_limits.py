"""What an answer's head tells of how much more its target takes, and until when that holds.

Each row is a pair of headers as its providers document them. The resets differ by form: a duration
(OpenAI, Groq: `1s`, `6m0s`, `20ms`), a moment (Anthropic: RFC 3339), seconds from now (the drafts
of RateLimit, Together), or an epoch in seconds or, at OpenRouter, in thousandths. Whatever is
neither is as if it were not there: a header is a hint, and costs nobody an answer.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from exo_supervisor.core.load.allowance import Allowance, Kind
from exo_supervisor.wire.chat.retry_after import MAX_WAIT, moment

_PAIRS: Final[tuple[tuple[str, str, Kind], ...]] = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", "tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset", "requests"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset", "tokens"),
    (
        "anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset",
        "tokens",
    ),
    (
        "anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset",
        "tokens",
    ),
    ("x-ratelimit-remaining", "x-ratelimit-reset", "requests"),
    ("ratelimit-remaining", "ratelimit-reset", "requests"),
)  # fmt: skip
IN_EACH_NAME: Final = "ratelimit-"
"""Where no name holds this, nothing is told: heads with none of them are the usual ones."""
_MAX_CHARS = 40
"""Of a value that is looked at."""
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")
_DURATION: Final = re.compile(
    r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
_UNITS = (86_400.0, 3600.0, 60.0, 1.0, 0.001)
_EPOCH, _EPOCH_MS = 1e9, 1e11
"""Numbers from which on a reset is no length of time: as one, this would be 31 years."""


def read_allowances(headers: Mapping[str, str], now_wall: float) -> tuple[Allowance, ...]:
    """Read what is left; the names of `headers` are in lower case.

    Moments are reckoned from the answer's own `date`, where it has one, else from `now_wall`.
    """
    told: list[Allowance] = []
    for remaining, reset, kind in _PAIRS:
        left = headers.get(remaining)
        if left is None or not (left.isascii() and left.isdigit() and len(left) <= _MAX_CHARS):
            continue
        seconds = _seconds(headers.get(reset, ""), headers, now_wall)
        if seconds is not None and seconds > 0.0:
            told.append(Allowance(kind, int(left), min(seconds, MAX_WAIT)))
    return tuple(told)


def _seconds(reset: str, headers: Mapping[str, str], now_wall: float) -> float | None:
    """Read how long it is until a reset."""
    text = reset.strip()
    if not text or len(text) > _MAX_CHARS or not text.isascii():
        return None
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number < _EPOCH:
            return number
        return (number / 1000.0 if number >= _EPOCH_MS else number) - _now(headers, now_wall)
    if (found := _DURATION.fullmatch(text)) is not None:
        parts = zip(found.groups(), _UNITS, strict=True)
        return sum([float(part) * unit for part, unit in parts if part])
    try:
        at = datetime.fromisoformat(text)
        return None if at.tzinfo is None else at.timestamp() - _now(headers, now_wall)
    except (ValueError, OverflowError):
        return None


def _now(headers: Mapping[str, str], now_wall: float) -> float:
    began = moment(headers.get("date", ""))
    return now_wall if began is None else began
