"""What was said between a client and a target, made fit for a person's eyes: without its keys.

`hide` takes keys out of plain text. Here is what plain text does not show: a key whose characters
are escaped, one that a stream brings in pieces, an event each, and one that has no shape but a name
before it, as a tool's `authorization_token` or a URL's `api_key`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain
from typing import cast

import msgspec

Hide = Callable[[str], str]

SECRET = "[secret]"  # noqa: S105 -- what stands in a secret's place
_NAMES = ("auth", "key", "token", "secret", "cookie", "passw", "credential", "signature")
"""What stands in the name of a header whose value nobody is shown."""
_NAMED = (
    r"(?i)((?:authoriz|auth[_-]|api[_-]?key|secret(?!ar|ion)|passw|credential|cookie)[\w-]{0,40}"
    r"|(?<=[\w-])token|(?<=[?&])(?:token|key|sig|code)(?==))(\\{0,4}[\"']?\s{0,4}[:=]\s{0,4}"
    r"(?:(\\{1,4}[\"'])|([\"']))?)(?:(?:bearer|basic|token)[ \t]+)?"
    r"(?(3)(?:[^\"\\]|\\[^\"\\])+|(?(4)(?:[^\"\\]|\\.)+"
    r"|(?!(?:null|true|false|[\d.]+)(?![\w-]))[^\s\"'\\,;&<>{}\[\]]+))"
    r"|(?<=://)[^\s\"\\/@:]{0,200}:[^\s\"\\/@]{1,200}(?=@)"
)
"""A name behind which a secret stands, and the secret, quoted or not; or who may into a URL."""
_SPAN = 512
"""Characters of the above, but for all of a long secret."""
_WINDOW = 16_384
"""Characters that are gone through at once: the search lets nobody else run meanwhile."""
_MAX_DEPTH = 64


@cache
def _escapes() -> re.Pattern[str]:
    """Match a pair of backslashes, or an escaped ASCII character that could stand for itself."""
    return re.compile(r"\\(?:\\|(/)|u00(2[013-9a-fA-F]|[3467][0-9a-fA-F]|5[0-9abd-fABD-F]))")


@cache
def _named() -> re.Pattern[str]:
    return re.compile(_NAMED)


@cache
def _gap() -> re.Pattern[str]:
    return re.compile(r'(?i)(?<!bearer)(?<![ \t:=])[ "\n]')


def redact_headers(headers: Iterable[tuple[str, str]], hide: Hide) -> dict[str, str]:
    """Show headers by their names in lower case; secret ones by their names alone."""
    return {
        name: SECRET if any(part in name for part in _NAMES) else hide(without_named(value))
        for name, value in ((name.lower(), value) for name, value in headers)
    }


def without_named(text: str, window: int = _WINDOW) -> str:
    """Take out what stands behind a secret's name, and who may into a URL."""
    at, parts, named = 0, list[str](), _named()
    while at < len(text):
        to = at + window
        near = named.search(text, at, to + _SPAN)
        if near is None or near.start() >= to:
            parts.append(text[at:to])
            at = to
        else:
            found = named.match(text, near.start()) or near
            parts += text[at : found.start()], found[1] or "", found[2] or "", SECRET
            at = found.end()
    return "".join(parts)


def redact(text: str, hide: Hide, window: int = _WINDOW) -> str:
    """Show a body, or a stream of events; escapes that a key could hide behind are spelled out.

    A key that came in pieces cannot be taken out of them: what was said is shown joined instead.
    """
    spelled = without_named(_escapes().sub(_spelled, text), window)
    shown = "".join(map(hide, _windows(spelled, window)))
    strings = dict[str, list[str]]()
    values = list(_values(shown))
    if len(values) > 1:
        for path, string in chain.from_iterable(map(_strings, values)):
            strings.setdefault(path, []).append(string)
    joined = {path: "".join(parts) for path, parts in strings.items()}
    hidden = {
        path: "".join(map(hide, _windows(without_named(said, window), window)))
        for path, said in joined.items()
    }
    if hidden == joined:
        return shown
    return msgspec.json.encode({"a key came in pieces; joined": hidden}).decode()


def _spelled(found: re.Match[str]) -> str:
    if found[2]:
        return chr(int(found[2], 16))
    return found[1] or found[0]


def _windows(text: str, window: int) -> Iterator[str]:
    """Cut a text where no key can be cut: before a blank or a quote, and not behind `bearer`."""
    at = 0
    while len(text) - at > window:
        place = _gap().search(text, at + window)
        to = len(text) if place is None else place.start()
        yield text[at:to]
        at = to
    yield text[at:]


def _values(text: str) -> Iterator[object]:
    """Yield each value of JSON that a body or the lines of a stream hold."""
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if data[:1] in ("{", "["):
            try:
                yield msgspec.json.decode(data)
            except (msgspec.DecodeError, RecursionError):
                continue


def _strings(value: object, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif depth < _MAX_DEPTH and isinstance(value, dict | list):
        inside = cast("dict[str, object] | list[object]", value)
        items = enumerate(inside) if isinstance(inside, list) else inside.items()
        for name, inner in items:
            yield from _strings(inner, f"{path}.{name}", depth + 1)
