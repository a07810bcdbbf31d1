"""A configuration file as tables, with the place of each key."""

import re
import tomllib
from collections.abc import Mapping

from exo_supervisor.config.fault import ConfigError, Position
from exo_supervisor.config.number import number_of
from exo_supervisor.config.scan import LONGEST_LINE, Path, Span, Spans

_LARGEST = 1_048_576  # bytes or characters; no honest configuration comes near

# tomllib needs quadratic time for a dotted key: 7 s for 20 000 parts on Python 3.11.
_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*"""
_DEEP_KEY = re.compile(rf"^[ \t]*(?:\[\[?[ \t]*)?{_PART}(?:\.[ \t]*{_PART}){{32}}", re.MULTILINE)
_DEEP_INNER_KEY = re.compile(rf"[{{,][ \t]*{_PART}(?:\.[ \t]*{_PART}){{32}}")
_AT = re.compile(r"(?s)(.*) \(at (?:line (\d+), column (\d+)|end of document)\)")


class Document:
    """One parsed text; `tables` is what tomllib read."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        text = text.replace("\r\n", "\n")
        self.tables: Mapping[str, object] = _parse(text, file)
        self._spans = Spans(text)

    def key(self, path: Path) -> Position:
        return self._place(self._spans.key(path))

    def value(self, path: Path) -> Position:
        return self._place(self._spans.value(path))

    def _place(self, span: Span | None) -> Position:
        if span is None:
            return Position(self.file)
        return Position(self.file, span.line, span.column, span.width, span.source)


def decode(raw: bytes, file: str) -> str:
    """Promise the text of a file's bytes.

    :raises ConfigError: it is larger than 1 MiB or not UTF-8; the message names the first bad byte.
    """
    if len(raw) > _LARGEST:
        raise _too_large(file)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        message = f"not UTF-8 at byte offset {error.start}"
        raise _syntax(Position(file), message, "save the file as UTF-8") from error


def _parse(text: str, file: str) -> Mapping[str, object]:
    if len(text) > _LARGEST:
        raise _too_large(file)
    if text.startswith("\ufeff"):
        message = "the file begins with a byte order mark"
        raise _syntax(Position(file), message, "save it as UTF-8 without one")
    if _DEEP_KEY.search(text) or _DEEP_INNER_KEY.search(text):
        raise _syntax(Position(file), "a key has more than 32 parts", "remove dots from it")
    try:
        return tomllib.loads(text, parse_float=number_of)
    except RecursionError as error:
        raise _syntax(Position(file), "lists or tables are nested too deeply", "") from error
    except ValueError as error:  # TOMLDecodeError is one; a number of 5000 digits is another
        raise _from_tomllib(str(error), text, file) from error


def _from_tomllib(said: str, text: str, file: str) -> ConfigError:
    found = _AT.fullmatch(said)
    if found is None:
        return _syntax(Position(file), "a value is out of range", "")
    said, line, column = found.groups()
    lines = text.split("\n")
    row = int(line) if line else len(lines)
    source = lines[row - 1] if row <= len(lines) else ""
    at = int(column) if column else len(source) + 1
    shown = len(source) <= LONGEST_LINE
    place = Position(file, row, at, int(shown), source if shown else "")
    return _syntax(place, said[:1].lower() + said[1:], "")


def _too_large(file: str) -> ConfigError:
    return _syntax(Position(file), "the file is larger than 1 MiB", "is it the right file?")


def _syntax(place: Position, message: str, hint: str) -> ConfigError:
    return ConfigError((place.fault("", "syntax", message, hint),))
