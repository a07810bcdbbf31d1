"""What a stranger may make us work on: asked at the door of every parser, before a value is made.

A bound on bytes is none on work: four megabytes hold a million small values, and each costs a
hundred times its bytes to decode. Commas can be counted without decoding anything; what lies
between two of them is one value, or a nesting whose depth the decoder bounds itself. That depth
is hundreds, though, and may be filled at each comma, so that brackets are counted as well.
"""

from collections.abc import Iterable
from typing import Final, TypeVar

from msgspec.json import Decoder

from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.untrusted_json import UNREADABLE

T = TypeVar("T")

MAX_NAME_CHARS: Final = 256
"""Characters of an id or a name, at most, wherever one enters."""
MAX_CHOICES: Final = 128
"""Answers that one request may ask for, for all its prompts: OpenAI's bound for `n`."""
MAX_MODELS: Final = 1_000
"""Models, or instances of models, that one answer may name."""
MAX_MEMBERS: Final = 128
"""Members of a cluster that one answer may name: several times a large one."""
MAX_RUNNERS: Final = 4_000
MAX_PART_BYTES: Final = 4 * 1024 * 1024
"""Bytes of one part of a state, or of a list."""
MAX_PART_COMMAS: Final = 50_000
MAX_PART_BRACKETS: Final = 2 * MAX_PART_COMMAS
"""Lists and objects of one part, one within the other or not; most hold a comma or two."""
MAX_CHAT_VALUES: Final = 65_536
"""Values of a chat request, and its texts: each costs a hundred times its bytes to decode."""
_MAX_CHAT_BRACKETS: Final = 2 * MAX_CHAT_VALUES
"""Lists and objects of a chat request, one within the other or not; most hold a comma or two."""
MAX_STATE_COMMAS: Final = 1_000_000
"""Commas of a whole state, prompts included: what is passed over costs less than what is read."""

MAX_STATE_BRACKETS: Final = 2 * MAX_STATE_COMMAS


def bounded_part(body: bytes) -> bytes:
    """Return what is to be decoded, if that takes but a moment; raises WireError."""
    if len(body) <= MAX_PART_COMMAS:  # most are: it cannot hold more of either
        return body
    few = body.count(b",") <= MAX_PART_COMMAS and _brackets(body) <= MAX_PART_BRACKETS
    if len(body) > MAX_PART_BYTES or not few:
        raise WireError(
            f"an answer of more than {MAX_PART_BYTES} bytes or {MAX_PART_COMMAS} values"
        )
    return body


def read_part(decoder: Decoder[T], body: bytes, what: str) -> T:
    """Decode a part of bounded size; raises WireError, which says what it is not."""
    try:
        return decoder.decode(bounded_part(body))
    except UNREADABLE:
        raise WireError(f"not {what}") from None


def bounded_state(body: bytes) -> bytes:
    """Return a whole state, most of which is passed over; raises WireError."""
    if body.count(b",") > MAX_STATE_COMMAS or _brackets(body) > MAX_STATE_BRACKETS:
        raise WireError(f"a state of more than {MAX_STATE_COMMAS} values")
    return body


def has_few_values(body: bytes) -> bool:
    """Say whether a chat request takes but a moment to decode; its texts hold commas at will."""
    if len(body) <= MAX_CHAT_VALUES or _has_few_marks(body):
        return True
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"")  # each quote left begins or ends a text
    if bare.count(b'"') > 2 * MAX_CHAT_VALUES:
        return False
    return _has_few_marks(b"".join(bare.split(b'"')[::2]))


def _has_few_marks(json: bytes) -> bool:
    """Say whether few values follow another, and few hold others."""
    if json.count(b",") > MAX_CHAT_VALUES:
        return False
    return _brackets(json) <= _MAX_CHAT_BRACKETS


def _brackets(json: bytes) -> int:
    return json.count(b"[") + json.count(b"{")


def at_most(most: int, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names, if they are few and short enough; raises WireError."""
    found = tuple(names)
    if len(found) > most or max(map(len, found), default=0) > MAX_NAME_CHARS:
        raise WireError("an answer that names more, or longer, than is read")
    return found
