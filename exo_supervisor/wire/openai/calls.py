"""Calls of tools that came in pieces, joined for a client that gets them whole.

A piece says at which `index` it belongs, but not every upstream means the same by it: some leave it
out, some give every call the same one, and tell them apart by their `id` alone.
"""

from math import inf
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from exo_supervisor.wire.chat.piece import NULL, JoinError, Piece
from exo_supervisor.wire.lenient_json import dumps, loads, members, written
from exo_supervisor.wire.openai.merged import Merged
from exo_supervisor.wire.untrusted_json import UNREADABLE

_pieces = msgspec.json.Decoder(list[dict[str, Raw]])

_ARGUMENTS = frozenset({"arguments"})
_INPUT = frozenset({"input"})
_MAX_DIGITS = 6
_MOST_LOOKED = 16_384
"""Bytes of arguments that are looked through for whether they are whole, as a piece comes."""


class FunctionCall(Struct):
    """The name and the arguments of one call; the arguments came in pieces, or once, as a value."""

    merged: Merged = field(default_factory=lambda: Merged(_ARGUMENTS))
    value: bytes = b""

    def add(self, told: dict[str, Raw]) -> int:
        """Add one piece; returns how many of its names are new. Raises JoinError."""
        told = told.copy()
        told.pop("id", None)  # Exo puts the call's own into `function`, too
        value = bytes(told.get("arguments", NULL))
        if not value.startswith((b'"', b"null")):
            del told["arguments"]
            if self.value or self.merged.grown.get("arguments"):
                raise JoinError("two values for the arguments of one call")
            self.value = value
        elif self.value and value not in (b"null", b'""'):
            raise JoinError("two values for the arguments of one call")
        return self.merged.add(told)

    def takes(self, told: dict[str, Raw]) -> bool:
        """Say whether a piece can follow: not a second object upon one that is whole."""
        begins = bytes(told.get("arguments", NULL)).startswith(b'"{')
        return not begins or bool(self.value) or not self.is_whole()

    def is_whole(self) -> bool:
        """Say whether the arguments are an object already; what is long is not looked at."""
        grown = self.merged.grown.get("arguments")
        if grown is None or not grown.ends_with(b"}"):
            return bool(self.value)
        return self.is_said(_MOST_LOOKED)

    def is_said(self, most_bytes: float = inf) -> bool:
        """Say whether the arguments can be told as an object; none at all are an empty one."""
        grown = self.merged.grown.get("arguments")
        if not grown:
            return True
        parts: list[bytes] = []
        grown.write(parts)
        try:
            return sum(map(len, parts)) <= most_bytes and _is_object(b"".join(parts))
        except UNREADABLE:
            return False

    def whole(self) -> dict[str, object]:
        """Return the call; arguments that came as a value become the text that they should be."""
        found = self.merged.whole()
        return found | {"arguments": self.value.decode()} if self.value else found


class Call(Struct):
    """One call; `index` is its place among the others."""

    index: int
    id: str
    name: str = ""
    members: Merged = field(default_factory=Merged)
    function: FunctionCall = field(default_factory=FunctionCall)
    custom: Merged = field(default_factory=lambda: Merged(_INPUT))

    def add(self, told: dict[str, Raw], function: dict[str, Raw], custom: dict[str, Raw]) -> int:
        told.pop("index", None)
        return self.members.add(told) + self.function.add(function) + self.custom.add(custom)

    def is_over(self, name: str, function: dict[str, Raw]) -> bool:
        """Say whether a piece that bears a name is of another call."""
        other = self.name not in ("", name)
        return bool(name) and (other or not self.function.takes(function))

    def whole(self) -> dict[str, object]:
        if custom := self.custom.whole():
            return {"type": "custom", **self.members.whole(), "custom": custom}
        return {"type": "function", **self.members.whole(), "function": self.function.whole()}


class Calls(Struct):
    """The calls of one message."""

    _begun: list[Call] = field(default_factory=list)
    _at: dict[int, Call] = field(default_factory=dict)
    _by_id: dict[str, Call] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._begun)

    def add(self, told: dict[str, Raw]) -> int:
        """Add one piece; returns how many names and calls are new. Raises JoinError."""
        return self.take(told)[1]

    def take(self, told: dict[str, Raw]) -> tuple[Call, int]:
        """Add one piece to its call; returns that, and how many names and calls are new.

        A new id begins a call. Without one, a piece goes on with the call of its index, and
        without that, too, with the last; a name begins one where none is known. Raises JoinError
        for a piece of which nobody can say where it belongs.
        """
        function = members(told.pop("function", NULL))
        custom = members(told.pop("custom", NULL))
        name = _text(function.get("name")) or _text(custom.get("name"))
        known = self._find(told, name, function)
        before = len(self._begun)
        call = known or self._begin(told)
        call.name = call.name or name
        return call, 2 * (len(self._begun) - before) + call.add(told, function, custom)

    def _find(self, told: dict[str, Raw], name: str, function: dict[str, Raw]) -> Call | None:
        key, index = _text(told.get("id")), _index(told)
        if not key and index is None:
            return self._last(name)
        at = None if index is None else self._at.get(index)
        if key and (at is None or at.id not in ("", key)):
            at = self._by_id.get(key)
            if at is not None and index is not None and at.is_over(name, function):
                return None  # an id that every call has: the index tells them apart
        if at is not None and at.is_over(name, function):
            raise JoinError("two calls in the place of one")
        if at is not None and key and not at.id:
            at.id = key
            self._by_id[key] = at
        return at

    def _last(self, name: str) -> Call | None:
        """Return the call with which a piece without id and index goes on."""
        if not self._begun and not name:
            raise JoinError("a piece of a call that nobody began")
        return self._begun[-1] if not name else None

    def _begin(self, told: dict[str, Raw]) -> Call:
        index, key = _index(told), _text(told.get("id"))
        place = len(self._begun) if index is None else index
        call = Call(place, key)
        self._begun.append(call)
        self._at[place] = call
        if key:
            self._by_id[key] = call
        return call

    def whole(self) -> list[dict[str, object]]:
        """Return the calls in the order of their indices."""
        return [call.whole() for call in sorted(self._begun, key=lambda call: call.index)]


def calls_of(piece: Piece) -> list[dict[str, Raw]]:
    """Return the pieces of calls in one piece of the only answer, the older kind of call as well.

    Raises JoinError for a piece of a second answer, and one of UNREADABLE.
    """
    if piece.index:
        raise JoinError("a second answer where one was asked for")
    delta, found = piece.delta, list[dict[str, Raw]]()
    if delta.tool_calls:
        found = call_pieces(members(piece.raw).get("tool_calls", NULL))
    if delta.function_call:
        found.append({"index": Raw(b"0"), "function": Raw(dumps(delta.function_call))})
    return found


def call_pieces(calls: Raw) -> list[dict[str, Raw]]:
    """Return the pieces of calls in one delta or message; raises one of UNREADABLE."""
    try:
        return _pieces.decode(calls)
    except msgspec.DecodeError:
        found = msgspec.convert(loads(calls), list[dict[str, Any]])
        return [{name: Raw(written(value)) for name, value in call.items()} for call in found]


def arguments_in(told: dict[str, Raw]) -> bytes:
    """Return a piece of a call's arguments as a JSON text, nothing where there is none."""
    raw = bytes(members(told.get("function", NULL)).get("arguments", NULL))
    if raw in (b"null", b'""'):
        return b""
    return raw if raw.startswith(b'"') else dumps(raw.decode())


def _index(told: dict[str, Raw]) -> int | None:
    text = bytes(told.get("index", NULL))
    return int(text) if text.isdigit() and len(text) <= _MAX_DIGITS else None


def _text(raw: Raw | None) -> str:
    found = loads(raw) if raw is not None and bytes(raw).startswith(b'"') else None
    return found if isinstance(found, str) else ""


def _is_object(text: bytes) -> bool:
    """Say whether a JSON text holds a whole JSON object; raises one of UNREADABLE."""
    inner = msgspec.json.decode(text, type=str)
    return isinstance(msgspec.json.decode(inner), dict)
