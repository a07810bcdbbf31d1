"""What happened as one JSON object on one line, for the log and for those who listen to events."""

import re

import msgspec

from exo_supervisor.views.facts import MOST_CHARACTERS
from exo_supervisor.views.request_done import RequestLine

MOST_BYTES = 8192
"""Of one object."""
_MOST_SHORT = 100  # characters of a fact that stays in an object which had to be cut
_MANY = 10**9  # tokens: of more than JSON's readers hold another number is written
_DELETE = 0x7F
_UNSEEN = re.compile(r"[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")

_encode = msgspec.json.Encoder().encode


def request_json(line: RequestLine) -> bytes | None:
    """Write a request's facts in one go; None: they have to be looked at one by one.

    A line that is short has no fact to be cut; in ASCII nothing is to be escaped but U+007F.
    """
    if not (  # as a target says
        0 <= (line.prompt_tokens or 0) < _MANY
        and 0 <= (line.completion_tokens or 0) < _MANY
        and 0 <= (line.cached_tokens or 0) < _MANY
    ):
        return None
    try:
        text = _encode(line)
    except UnicodeEncodeError:  # half a character
        return None
    if len(text) > MOST_CHARACTERS or _DELETE in text or not text.isascii():
        return None
    return text


def bounded_json(facts: dict[str, object]) -> bytes:
    """Write safe facts, the long ones left out where they are too many bytes."""
    text = msgspec.json.encode(facts)
    if len(text) > MOST_BYTES:
        short = {key: fact for key, fact in facts.items() if _is_short(fact)}
        text = msgspec.json.encode(short | {"line_cut_from": len(text)})
    return _escaped(text)


def _escaped(text: bytes) -> bytes:
    """Escape what a terminal obeys or hides, and JSON allows as it is: U+007F, U+009B, U+202E."""
    if text.isascii() and b"\x7f" not in text:
        return text
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode()).encode()


def _is_short(fact: object) -> bool:
    return not isinstance(fact, dict | list) and len(str(fact)) <= _MOST_SHORT
