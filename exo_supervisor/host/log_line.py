"""How a line of the log looks: one JSON object, or a short line for eyes."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from time import time

import msgspec

from exo_supervisor.host.facts import MOST_CHARACTERS, safe_text
from exo_supervisor.views.request_done import RequestLine

_MOST_BYTES = 8192  # of one line
_MOST_SHORT = 100  # characters of a fact that stays in a line which had to be cut
_MANY = 10**9  # tokens: of more than JSON's readers hold another number is written
_DELETE = 0x7F
_COLOURS = {"debug": "2", "info": "0", "warning": "33", "error": "31", "critical": "31"}
_UNSEEN = re.compile(r"[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")

_encode = msgspec.json.Encoder().encode


def head(level: str, event: str, logger: object) -> dict[str, object]:
    """Begin a line: what each has."""
    return {
        "ts": _now(),
        "level": level,
        "event": safe_text(event),
        "logger": safe_text(str(logger)),
    }


def request_line(line: RequestLine) -> bytes | None:
    """Write a request's line as JSON in one go; None: its facts have to be looked at one by one.

    A line that is short has no fact to be cut; in ASCII nothing is to be escaped but U+007F.
    """
    counted = line.prompt_tokens, line.completion_tokens, line.cached_tokens
    for tokens in counted:  # as a target says
        if tokens is not None and not 0 <= tokens < _MANY:
            return None
    try:
        text = _encode(line)
    except UnicodeEncodeError:  # half a character
        return None
    if len(text) > MOST_CHARACTERS or _DELETE in text or not text.isascii():
        return None
    now = time()
    second = int(now)
    return b'{"ts":"%b%06dZ","level":"info","event":"request_done","logger":"serve",%b\n' % (
        _second(second), (now - second) * 1_000_000, text[1:],
    )  # fmt: skip


def _now() -> str:
    now = time()
    second = int(now)
    return f"{_second(second).decode()}{int((now - second) * 1_000_000):06d}Z"


@lru_cache(maxsize=2)
def _second(since_1970: int) -> bytes:
    return f"{datetime.fromtimestamp(since_1970, UTC).replace(tzinfo=None).isoformat()}.".encode()


def json_line(line: dict[str, object]) -> bytes:
    """Write a line as JSON, its long facts left out where it is too long."""
    text = msgspec.json.encode(line)
    if len(text) > _MOST_BYTES:
        short = {key: fact for key, fact in line.items() if _is_short(fact)}
        text = msgspec.json.encode(short | {"line_cut_from": len(text)})
    return _escaped(text) + b"\n"


def _escaped(text: bytes) -> bytes:
    """Escape what a terminal obeys or hides, and JSON allows as it is: U+007F, U+009B, U+202E."""
    if text.isascii() and b"\x7f" not in text:
        return text
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode()).encode()


def _is_short(fact: object) -> bool:
    return not isinstance(fact, dict | list) and len(str(fact)) <= _MOST_SHORT


def console_line(line: dict[str, object], *, colour: bool) -> bytes:
    """Render `12:30:00 warning traffic_shifted from=exo to=cloud (serve.exchange)`."""
    facts = dict(line)
    moment, level = str(facts.pop("ts"))[11:19], str(facts.pop("level"))
    event, logger = _word(facts.pop("event")), _word(facts.pop("logger"))
    words = " ".join([event, *(f"{_word(key)}={_word(fact)}" for key, fact in facts.items())])
    if not colour:
        return f"{moment} {level:<8} {words} ({logger})\n".encode()
    moment, logger = _painted("2", moment), _painted("2", f"({logger})")
    level = _painted(_COLOURS.get(level, "0"), f"{level:<8}")
    return f"{moment} {level} {words} {logger}\n".encode()


def _painted(colour: str, text: str) -> str:
    return f"\033[{colour}m{text}\033[0m"


def _word(fact: object) -> str:
    """Write a fact as one word of printable ASCII: names from the network stay harmless."""
    text = fact if isinstance(fact, str) else msgspec.json.encode(fact).decode()
    if text.isascii() and text.isprintable() and not re.search(r'[\s"]', text):
        return text
    return ascii(text)
