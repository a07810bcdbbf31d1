"""One JSON object whose members came in pieces, kept and written again as it came.

Decoded, what is no text would take many times its bytes; a text needs no decoding either, since
the insides of JSON strings can be joined. Half an emoji that came as a lone surrogate thereby finds
its other half.
"""

from typing import cast

import msgspec
from msgspec import Raw, Struct, field

NOTHING = frozenset({b"null", b'""', b"false", b"0", b"{}"})


class Grown:
    """A text or a list in its pieces: the insides of strings or of lists, in runs of one kind."""

    __slots__ = ("_kind", "_last", "_runs")

    def __init__(self) -> None:
        self._runs: list[tuple[bytes, list[bytes]]] = []
        self._last: list[bytes] = []
        self._kind = b""

    def add(self, raw: bytes) -> None:
        """Add a JSON string or list."""
        kind, inner = raw[:1], raw[1:-1]
        if kind == b"[":
            inner = inner.strip()
            if inner and kind == self._kind:
                self._last.append(b",")
        self._add(kind, inner)

    def add_text(self, inner: bytes) -> None:
        """Add what a JSON string has between its quotes."""
        self._add(b'"', inner)

    def _add(self, kind: bytes, inner: bytes) -> None:
        if not inner:
            return
        if kind != self._kind:
            self._kind, self._last = kind, []
            self._runs.append((kind, self._last))
        self._last.append(inner)

    def __bool__(self) -> bool:
        return bool(self._runs)

    def ends_with(self, end: bytes) -> bool:
        """Say whether the last piece ended so."""
        return bool(self._runs) and self._last[-1].endswith(end)

    def write(self, into: list[bytes]) -> None:
        """Write texts as a text, lists as a list, and both as a list in which texts are parts."""
        runs = self._runs
        if not runs or (len(runs) == 1 and runs[0][0] == b'"'):  # runs of one kind are one
            into.append(b'"')
            into += runs[0][1] if runs else ()
            into.append(b'"')
            return
        into.append(b"[")
        for number, (kind, parts) in enumerate(runs):
            into.append(b"," if number else b"")
            into += parts if kind == b"[" else [b'{"type":"text","text":"', *parts, b'"}']
        into.append(b"]")


class Merged(Struct):
    """The members named in `growing` are texts that grow; lists grow, too; the rest came once."""

    growing: frozenset[str] = frozenset()
    grown: dict[str, Grown] = field(default_factory=dict)
    others: dict[str, Raw] = field(default_factory=dict)

    def add(self, members: dict[str, Raw]) -> int:
        """Add the members; returns how many of their names are new."""
        before = len(self.grown) + len(self.others)
        for name, raw in members.items():
            value = bytes(raw)
            if value.startswith(b"[") or (name in self.growing and value.startswith(b'"')):
                if value != b"[]":
                    self.grown.setdefault(name, Grown()).add(value)
            elif name not in self.growing and name not in self.others and value not in NOTHING:
                self.others[name] = Raw(value)
        return len(self.grown) + len(self.others) - before

    def whole(self) -> dict[str, object]:
        """Return the object, for `write`."""
        return {**self.others, **self.grown}


def write(value: object, into: list[bytes]) -> None:
    """Write a value as JSON, in parts; what has grown is not copied."""
    if isinstance(value, Grown):
        value.write(into)
    elif isinstance(value, dict):
        into.append(b"{")
        for number, (name, member) in enumerate(cast("dict[str, object]", value).items()):
            into.append(b"%b%b:" % (b"," if number else b"", msgspec.json.encode(name)))
            write(member, into)
        into.append(b"}")
    elif isinstance(value, list):
        into.append(b"[")
        for number, member in enumerate(cast("list[object]", value)):
            into.append(b"," if number else b"")
            write(member, into)
        into.append(b"]")
    else:
        into.append(msgspec.json.encode(value))
