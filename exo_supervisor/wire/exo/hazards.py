"""What in a chat request ends the process that takes it, though it is no error by its schema.

Seen on Exo v1.0.71 and on its zenoh line (2026-06-22): an integer beyond 64 bits ends the whole
node, since the event log cannot be written; the others end the runner, for everybody, and after
about five in a row Exo deletes the instance. A failover would carry the same request to the next
cluster, so this is read before any node is asked.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec
from msgspec import Raw

from exo_supervisor.wire.untrusted_json import UNREADABLE

TOP_K_MAX = 10_000
"""Far above any use of `top_k`, and below any vocabulary."""
INT_MIN, INT_MAX = -(2**63), 2**64 - 1
MAX_DIGITS = 20
"""Characters of the longest integer within 64 bits."""
INTEGERS = ("seed", "n", "max_tokens", "top_logprobs", "repetition_context_size")
"""Fields that Exo reads as integers, out of a string or of 1e30, too."""
_INTEGERS = frozenset(INTEGERS)

Hazard = Literal["too_wide", "outside_0_1", "no_content"]
RUNNER_DIES_OF: Final = frozenset[str]({"too_wide", "outside_0_1", "no_content"})
"""What generations B and C must never be asked; providers look at what they take.

A drops all fields but the messages, and reads those leniently.
"""

_ZEROS = bytes(0x30 if byte in b"0123456789" else 0x20 for byte in range(256))
_LONG_NUMBER = b"0" * 19
"""The shortest run of digits that can be beyond 64 bits, once each digit is written as a zero."""
_STRIDE = 4
_STRIDES = b"0" * (len(_LONG_NUMBER) // _STRIDE)
_SLICE = 2**16


def read_hazards(
    body: bytes, fields: Mapping[str, Raw], contents: Iterable[bool]
) -> dict[str, Hazard]:
    """Name the fields of a request that end some target, and how.

    `contents` says of each message but the assistant's whether it has content. A field that
    `encode_chat` leaves out for Exo is no hazard.
    """
    found: dict[str, Hazard] = {}
    if not any(contents):
        found["messages"] = "no_content"
    if "min_p" in fields and not _within_0_1(fields["min_p"]):
        found["min_p"] = "outside_0_1"
    if not _INTEGERS.isdisjoint(fields):
        for name in INTEGERS:
            if name in fields and _reads_too_wide(fields[name]):
                found[name] = "too_wide"
    if _has_long_number(body):
        found |= {name: "too_wide" for name, raw in fields.items() if _is_wide(raw)}
    if found:
        for name in harmful_samplers(fields):
            found.pop(name, None)
    return found


def _reads_too_wide(raw: Raw) -> bool:
    if len(raw) < len(_LONG_NUMBER) and bytes(raw).isdigit():
        return False
    return not INT_MIN <= (number(raw) or 0) <= INT_MAX


def harmful_samplers(fields: Mapping[str, Raw]) -> list[str]:
    """Name the sampling fields that would end Exo's runner and that it does without.

    `seed: -1` means "random" in many programs, which is what no seed means; a `top_k` above every
    vocabulary keeps every token, which is what no `top_k` means.
    """
    found: list[str] = []
    if "seed" in fields and (seed := number(fields["seed"])) is not None and seed < 0:
        found.append("seed")
    if "top_k" in fields and (top_k := number(fields["top_k"])) is not None and top_k > TOP_K_MAX:
        found.append("top_k")
    return found


def number(raw: Raw) -> float | None:
    """Read a number as pydantic does, out of a string, too; None for anything else."""
    try:
        value: object = msgspec.json.decode(raw)
        if isinstance(value, str):
            value = float(value)
    except (*UNREADABLE, ValueError):
        return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _has_long_number(body: bytes) -> bool:
    """Say whether many digits stand in a row anywhere; a twentieth of what a pattern would cost.

    Every fourth byte of such a row is a digit, four times at least: where no four of those follow
    each other, as nearly everywhere, no more is looked at.
    """
    if body[::_STRIDE].translate(_ZEROS).find(_STRIDES) < 0:
        return False
    for start in range(0, len(body), _SLICE):
        part = body[start : start + _SLICE + len(_LONG_NUMBER)]
        if part.translate(_ZEROS).find(_LONG_NUMBER) >= 0:  # `in` raises, and drops, an error
            return True
    return False


def _within_0_1(raw: Raw) -> bool:
    value = number(raw)
    return value is None or 0 <= value <= 1


def _is_wide(raw: Raw) -> bool:
    """Say whether a value holds an integer beyond 64 bits, at any depth."""
    text, wide = bytes(raw), False
    if not _has_long_number(text):
        return False

    def read(digits: str) -> int:
        nonlocal wide
        wide = wide or len(digits) > MAX_DIGITS or not INT_MIN <= int(digits) <= INT_MAX
        return 0

    try:
        json.loads(text, parse_int=read)
    except (ValueError, RecursionError):
        return True  # what cannot be looked through is not vouched for
    return wide
