"""Where each key and value stands in a TOML text, which tomllib does not tell.

Only for text that tomllib has read without fault: the scan trusts the grammar of TOML v1.0.0 and
checks nothing. Where it loses its way it knows no places at all, never a wrong one.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator

from msgspec import Struct

Path = tuple[str | int, ...]

LONGEST_LINE = 4096  # characters of a line that is kept to be shown

_BLANK = re.compile(r"[ \t]*")
_VOID = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_VOID_AND_COMMA = re.compile(r"(?:[ \t\n,]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_SCALAR = re.compile(
    r'''"""(?:[^"\\]|\\.|"(?!""))*"""(?:"{0,2})'''
    r"""|'{3}(?:[^']|'(?!''))*'{3}(?:'{0,2})"""
    r"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
    r"""|\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*"""
    r"""|[^\s,\]}#"'\[{]+""",
    re.DOTALL,
)


class Span(Struct, frozen=True):
    """A piece of one line: line and column from 1, its width in characters, the line's text.

    A line too long to be shown has the text "": each fault in it would hold a copy.
    """

    line: int
    column: int
    width: int
    source: str


class _LostError(Exception):
    """The text is not what the scan expects."""


class Spans:
    """Every key and value of one text, found by path: names of tables and keys, list indices."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(m.end() for m in re.finditer("\n", text))]
        scan = _Scan(text)
        try:
            scan.document()
        except (_LostError, RecursionError):
            scan.keys.clear()
            scan.values.clear()
        self._keys = scan.keys
        self._values = scan.values

    def key(self, path: Path) -> Span | None:
        return self._span(self._keys.get(path) or self._values.get(path))

    def value(self, path: Path) -> Span | None:
        return self._span(self._values.get(path) or self._keys.get(path))

    def values(self) -> Iterator[tuple[Path, str]]:
        """Each value that was found, with its text, for whoever wants to check the scan."""
        for path, (start, end) in self._values.items():
            yield path, self._text[start:end]

    def _span(self, found: tuple[int, int] | None) -> Span | None:
        if found is None:
            return None
        start, end = found
        row = bisect_right(self._starts, start)
        first = self._starts[row - 1]
        last = self._starts[row] - 1 if row < len(self._starts) else len(self._text)
        source = self._text[first:last] if last - first <= LONGEST_LINE else ""
        return Span(row, start - first + 1, min(end, last) - start, source)


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.keys: dict[Path, tuple[int, int]] = {}
        self.values: dict[Path, tuple[int, int]] = {}
        self._lists: dict[Path, int] = {}  # tables seen so far of each [[list]]

    def document(self) -> None:
        table: Path = ()
        self._take(_VOID)
        while self.pos < len(self.text):
            if self.text[self.pos] == "[":
                table = self._header()
            else:
                self._assignment(table)
            self._take(_VOID)

    def _header(self) -> Path:
        listed = self.text.startswith("[[", self.pos)
        self.pos += 2 if listed else 1
        parts = self._dotted()
        self.pos += 2 if listed else 1
        path: Path = ()
        for part, span in parts[:-1]:
            path = self._latest((*path, part))
            self.keys.setdefault(path, span)
        last, span = parts[-1]
        path = (*path, last)
        self.keys.setdefault(path, span)
        if listed:
            self._lists[path] = self._lists.get(path, 0) + 1
            path = self._latest(path)
            self.keys[path] = span
        return path

    def _latest(self, path: Path) -> Path:
        return (*path, self._lists[path] - 1) if path in self._lists else path

    def _assignment(self, table: Path) -> None:
        path = table
        for part, span in self._dotted():
            path = (*path, part)
            self.keys.setdefault(path, span)
        self._expect("=")
        self._take(_BLANK)
        self._value(path)

    def _dotted(self) -> list[tuple[str, tuple[int, int]]]:
        parts: list[tuple[str, tuple[int, int]]] = []
        while True:
            self._take(_BLANK)
            start = self.pos
            raw = self._take(_KEY)
            parts.append((_name(raw), (start, self.pos)))
            self._take(_BLANK)
            if not self.text.startswith(".", self.pos):
                return parts
            self.pos += 1

    def _value(self, path: Path) -> None:
        start = self.pos
        if self.text.startswith("[", start):
            self._list(path)
        elif self.text.startswith("{", start):
            self._inline_table(path)
        else:
            self._take(_SCALAR)
        self.values[path] = (start, self.pos)

    def _list(self, path: Path) -> None:
        self.pos += 1
        index = 0
        self._take(_VOID_AND_COMMA)
        while not self.text.startswith("]", self.pos):
            self._value((*path, index))
            index += 1
            self._take(_VOID_AND_COMMA)
        self.pos += 1

    def _inline_table(self, path: Path) -> None:
        self.pos += 1
        self._take(_VOID_AND_COMMA)
        while not self.text.startswith("}", self.pos):
            self._assignment(path)
            self._take(_VOID_AND_COMMA)
        self.pos += 1

    def _expect(self, char: str) -> None:
        if not self.text.startswith(char, self.pos):
            raise _LostError
        self.pos += 1

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.pos)
        if found is None:
            raise _LostError
        self.pos = found.end()
        return found.group()


def _name(raw: str) -> str:
    if raw[0] == "'":
        return raw[1:-1]
    if raw[0] == '"':
        return str(tomllib.loads(f"name = {raw}")["name"])
    return raw
