"""Takes out of an upstream's words what they repeat of a request, so that they may be logged.

A provider's error may quote the prompt, as it was sent, escaped as JSON once more, cut off, in
capitals, in base64 or in hexadecimal digits. So both are compared as bare letters and digits, in
one case, without escapes: five words in a row, 24 characters, or a whole short text of a message.
What is cut too much costs a reader of the log little. Another writing (a cipher, a translation, a
digest) is not known again: of that one has to trust the provider, which has the prompt anyhow.
"""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import cast
from urllib.parse import unquote

import msgspec
from msgspec import Raw

from exo_supervisor.wire.untrusted_json import UNREADABLE

MAX_COMPARED_BYTES = 2**17
MAX_COMPARED_COMMAS = 20_000
MAX_COMPARED_CHARS = 2_000
"""Beyond these a request is not gone through, and nothing of what was said about it is logged."""
RUN_WORDS, RUN_CHARS = 5, 24
"""Words, or letters and digits, in a row that are no accident."""
WHOLE_CHARS = 3
"""Letters and digits of a message's text that is looked for as a whole, at least."""

_RUN_READ, _LEAST_READ = 12, 6
"""Letters in a row that are no accident where they were coded, and all there are, at least."""
_CODED = r"[A-Za-z0-9+/_-]{10,}={0,2}"
"""A word that may be one of another alphabet."""
_AS_BASE64 = str.maketrans("-_", "+/")
_TEXTS = frozenset({"content", "data", "input", "prompt", "text"})
_WORD = r"[\u2e80-\uffef]|[^\W_\u2e80-\uffef]+"
"""A run of letters and digits; where words are not set apart, one character is one."""
_NO_LETTERS = r"[\W_]+"
_CODE = r"(?<!\\)\\++u([0-9a-fA-F]{4})"
_BLANK = r"(?<!\\)\\++[nrtbf]"
"""A run of backslashes is gone through once, however long it is."""


def without_request(
    words: str, fields: Mapping[str, Raw], native: Mapping[str, Raw] | None = None
) -> str:
    """Return an upstream's words with `…` for what the request's fields hold, or nothing.

    `native` are those of the client's own dialect; what they repeat is gone through once.
    """
    if not words or len(words) > MAX_COMPARED_CHARS:
        return ""
    if _is_large(fields) or (native is not None and _is_large(native)):
        return ""
    try:
        return _cut(words, fields, native)
    except (*UNREADABLE, ImportError, OSError):  # what undoes entities may not be had any more
        return ""


def _cut(words: str, fields: Mapping[str, Raw], native: Mapping[str, Raw] | None) -> str:
    found = list(_strings(_read(fields)))
    if native is not None:
        known = set(found)
        found += (text for text in _strings(_read(native)) if text not in known)
    request = _bare("".join(text for _, text in found))
    said = _Said(_without_coded(words, request))
    said.cut_runs(request)
    said.cut_wholes({_bare(text) for name, text in found if name in _TEXTS and len(text) < _LONG})
    return said.left()


def _is_large(fields: Mapping[str, Raw]) -> bool:
    size, commas = sum(map(len, fields.values())), sum(_commas(raw) for raw in fields.values())
    return size > MAX_COMPARED_BYTES or commas > MAX_COMPARED_COMMAS


def _read(fields: Mapping[str, Raw]) -> list[tuple[str, object]]:
    return [(name, msgspec.json.decode(raw)) for name, raw in fields.items() if name != "model"]


_LONG = 8 * RUN_CHARS
"""Characters of a text, blanks included, beyond which a run of it is looked for anyhow."""


class _Said:
    """An upstream's words one by one, and which of them are the request's.

    `_letters` are all of them in a row, `_owner` the word to which each letter belongs.
    """

    def __init__(self, words: str) -> None:
        self._text = _plain(words)
        self._words = list(re.finditer(_WORD, self._text))
        self._bare = [_bare(match.group()) for match in self._words]
        self._letters = "".join(self._bare)
        self._owner = [n for n, word in enumerate(self._bare) for _ in word]
        self._theirs = [False] * len(self._words)

    def cut_runs(self, request: str) -> None:
        """Mark the words that stand in the request in a row, and those that a long run touches."""
        for first in range(len(self._words) - RUN_WORDS + 1):
            if "".join(self._bare[first : first + RUN_WORDS]) in request:
                self._mark(first, first + RUN_WORDS)
        for at in _runs(self._letters, request, RUN_CHARS):
            self._mark(self._owner[at], self._owner[at + RUN_CHARS - 1] + 1)

    def cut_wholes(self, texts: set[str]) -> None:
        """Mark the words that are a whole text of a message."""
        for text in texts:
            at = self._letters.find(text) if len(text) >= WHOLE_CHARS else -1
            while at >= 0:
                first, last = self._owner[at], self._owner[at + len(text) - 1]
                if "".join(self._bare[first : last + 1]) == text:
                    self._mark(first, last + 1)
                at = self._letters.find(text, at + 1)

    def left(self) -> str:
        """Return the text with one mark for each run of words that are the request's."""
        parts, end = list[str](), 0
        for theirs, group in groupby(zip(self._words, self._theirs, strict=True), itemgetter(1)):
            run = [word for word, _ in group] if theirs else []
            parts += [self._text[end : word.start()] + "…" for word in run[:1]]
            end = run[-1].end() if run else end
        return "".join(parts) + self._text[end:]

    def _mark(self, first: int, end: int) -> None:
        self._theirs[first:end] = [True] * (end - first)


def _without_coded(words: str, request: str) -> str:
    """Cut out what stands for a piece of the request in base64 or in hexadecimal digits."""

    def judged(found: re.Match[str]) -> str:
        readings = map(_bare, _readings(found[0]))
        return "…" if any(_holds(request, each) for each in readings) else found[0]

    return re.sub(_CODED, judged, words)


def _readings(coded: str) -> Iterator[str]:
    """Read a word of another alphabet from each place where a whole letter of it may begin."""
    sextets = coded.rstrip("=").translate(_AS_BASE64)
    for first in range(4):
        part = sextets[first:]
        part = part[:-1] if len(part) % 4 == 1 else part
        yield b64decode(part + "=" * (-len(part) % 4)).decode(errors="ignore")
    if re.fullmatch(r"[0-9a-fA-F]+", coded):
        for first in range(2):
            part = coded[first:]
            yield bytes.fromhex(part[: len(part) // 2 * 2]).decode(errors="ignore")


def _holds(request: str, read: str) -> bool:
    """Say whether what was read is no accident: all of a short text, or a part of a longer one."""
    if len(read) < _RUN_READ:
        return len(read) >= _LEAST_READ and read in request
    return any(True for _ in _runs(read, request, _RUN_READ))


def _runs(letters: str, request: str, size: int) -> Iterator[int]:
    """Tell where runs of that size begin that stand in the request.

    To look for each is dear. Every run has a half within it that begins at a multiple of its
    length: those are looked for first, and runs only around one that is there.
    """
    half = size // 2
    here = {at for at in range(0, len(letters), half) if letters[at : at + half] in request}
    for at in range(len(letters) - size + 1):
        within = -(-at // half) * half  # the first that lies wholly within the run
        if within in here and letters[at : at + size] in request:
            yield at


def _strings(told: list[tuple[str, object]]) -> Iterator[tuple[str, str]]:
    """List every text of some fields, names of members too, each with the member's name or none."""
    todo = told[::-1]
    while todo:
        name, value = todo.pop()
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, list):
            todo += ((name, each) for each in reversed(cast("list[object]", value)))
        elif isinstance(value, dict):
            members = cast("dict[str, object]", value)
            todo += reversed(members.items())
            yield from (("", each) for each in members)


def _commas(raw: Raw) -> int:
    return bytes(raw).count(b",")


def _plain(text: str) -> str:
    """Undo escapes that are left, however often the text was quoted; those of addresses, too."""
    text = unquote(text)
    if "&" in text:
        from html import unescape  # noqa: PLC0415 - its table takes as much memory as a large room

        text = unescape(text)
    return re.sub(_BLANK, " ", re.sub(_CODE, lambda code: chr(int(code[1], 16)), text))


def _bare(text: str) -> str:
    return re.sub(_NO_LETTERS, "", _plain(text)).casefold()
