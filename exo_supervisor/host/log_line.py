"""How a line of the log looks: one JSON object, or a short line for eyes."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from time import time

import msgspec

from exo_supervisor.views.as_json import bounded_json, request_json
from exo_supervisor.views.facts import safe_text
from exo_supervisor.views.request_done import RequestLine

_COLOURS = {"debug": "2", "info": "0", "warning": "33", "error": "31", "critical": "31"}


def head(level: str, event: str, logger: object) -> dict[str, object]:
    """Begin a line: what each has."""
    return {
        "ts": now_text(),
        "level": level,
        "event": safe_text(event),
        "logger": safe_text(str(logger)),
    }


def request_line(line: RequestLine) -> bytes | None:
    """Write a request's line as JSON in one go; None: its facts have to be looked at one by one."""
    text = request_json(line)
    if text is None:
        return None
    now = time()
    second = int(now)
    return b'{"ts":"%b%06dZ","level":"info","event":"request_done","logger":"serve",%b\n' % (
        _second(second), (now - second) * 1_000_000, text[1:],
    )  # fmt: skip


def now_text() -> str:
    """Write this moment in RFC 3339, UTC."""
    now = time()
    second = int(now)
    return f"{_second(second).decode()}{int((now - second) * 1_000_000):06d}Z"


@lru_cache(maxsize=2)
def _second(since_1970: int) -> bytes:
    return f"{datetime.fromtimestamp(since_1970, UTC).replace(tzinfo=None).isoformat()}.".encode()


def json_line(line: dict[str, object]) -> bytes:
    """Write a line as JSON, its long facts left out where it is too long."""
    return bounded_json(line) + b"\n"


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
