"""One upstream answer as the one JSON object that a client gets which did not stream."""

from dataclasses import dataclass, field

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chunks import NULL, Choice, Delta, counted
from exo_supervisor.wire.reading import Reading

_MOST_BYTES = 64 * 1024 * 1024
_NAME_TAKES = 512
"""Bytes of memory that a member's name takes over its JSON, about."""

_TEXTS = frozenset({"content", "reasoning_content", "reasoning", "refusal"})
_FUNCTION_TEXTS = frozenset({"arguments"})
_NOTHING = frozenset({b"null", b'""', b"false", b"0", b"{}"})

_members = msgspec.json.Decoder(dict[str, Raw])
_calls = msgspec.json.Decoder(list[dict[str, Raw]] | None)
_text = msgspec.json.Decoder(str)


def _object(raw: Raw) -> dict[str, Raw]:
    """Return the members of a JSON object, and none for anything else."""
    return _members.decode(raw) if bytes(raw).startswith(b"{") else {}


@dataclass(slots=True)
class _Merged:
    """One object whose members came in pieces: texts and lists grow, the rest came once.

    What is no text stays JSON: decoded, it would take many times its bytes.
    """

    texts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    lists: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]])
    others: dict[str, Raw] = field(default_factory=dict[str, Raw])

    def add(self, members: dict[str, Raw], growing: frozenset[str]) -> int:
        """Add the members; returns how many of their names are new."""
        before = self._names()
        for name, raw in members.items():
            value = bytes(raw)
            if value.startswith(b"["):
                inner = value[1:-1].strip()
                if inner:
                    self.lists.setdefault(name, []).append(inner)
            elif name in growing:
                if value.startswith(b'"'):
                    self.texts.setdefault(name, []).append(_text.decode(value))
            elif name not in self.others and value not in _NOTHING:
                self.others[name] = Raw(value)
        return self._names() - before

    def _names(self) -> int:
        return len(self.texts) + len(self.lists) + len(self.others)

    def whole(self) -> dict[str, object]:
        lists = {name: Raw(b"[%b]" % b",".join(parts)) for name, parts in self.lists.items()}
        texts = {name: "".join(parts) for name, parts in self.texts.items()}
        told = {name: text for name, text in texts.items() if text or name not in lists}
        return {**self.others, **lists, **told}


@dataclass(slots=True)
class _Call:
    """One call of a tool; its name and id came once, its arguments in pieces."""

    call: _Merged = field(default_factory=_Merged)
    function: _Merged = field(default_factory=_Merged)

    def add(self, members: dict[str, Raw]) -> int:
        function = _object(members.pop("function", NULL))
        function.pop("id", None)
        members.pop("index", None)
        return self.call.add(members, frozenset()) + self.function.add(function, _FUNCTION_TEXTS)

    def whole(self) -> dict[str, object]:
        return {"type": "function", **self.call.whole(), "function": self.function.whole()}


@dataclass(slots=True)
class _Told:
    """One choice as its chunks have told it so far."""

    message: _Merged = field(default_factory=_Merged)
    calls: dict[int, _Call] = field(default_factory=dict[int, _Call])
    function: _Merged | None = None
    logprobs: _Merged = field(default_factory=_Merged)
    finish: str | None = None

    def add(self, members: dict[str, Raw]) -> int:
        """Add the members of a delta; returns how many names and calls are new."""
        members.pop("role", None)
        new = sum(map(self._add_call, _calls.decode(members.pop("tool_calls", NULL)) or []))
        function = _object(members.pop("function_call", NULL))
        if function:
            self.function = self.function or _Merged()
            new += self.function.add(function, _FUNCTION_TEXTS)
        return new + self.message.add(members, _TEXTS)

    def _add_call(self, members: dict[str, Raw]) -> int:
        place = msgspec.json.decode(members.get("index", NULL))
        known = place if isinstance(place, int) else len(self.calls)
        if known in self.calls:
            return self.calls[known].add(members)
        call = self.calls[known] = _Call()
        return 2 + call.add(members)

    def whole(self, index: int) -> dict[str, object]:
        message: dict[str, object] = {"role": "assistant", "content": None}
        message |= self.message.whole()
        if self.calls:
            message["tool_calls"] = [self.calls[place].whole() for place in sorted(self.calls)]
            message["content"] = message["content"] or None
        if self.function:
            message["function_call"] = self.function.whole()
        return {
            "index": index,
            "message": message,
            "logprobs": self.logprobs.whole() or None,
            "finish_reason": self.finish,
        }


class _Completion(Struct):
    id: str
    created: int
    model: str
    choices: list[dict[str, object]]
    usage: Raw
    object: str = "chat.completion"


@dataclass(slots=True, kw_only=True)
class Aggregate(Reading):
    """Gathers an upstream's events into one answer of at most 64 MiB."""

    _told: dict[int, _Told] = field(default_factory=dict[int, _Told], init=False)
    _size: int = field(default=0, init=False)

    def read_event(self, data: bytes, event: bytes = b"") -> bytes:
        """Take one event's data, all of which counts towards the bound."""
        self._grow(len(data))
        return b"" if self.fault is not None else Reading.read_event(self, data, event)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > _MOST_BYTES:
            self.fail(Fault.OVERSIZED, f"the answer is larger than {_MOST_BYTES} bytes")

    def take(self, choice: Choice, delta: Delta) -> bytes:
        """Add what one chunk says; returns no bytes, since the client gets them at the end."""
        told = self._told.get(choice.index)
        if told is None:
            told = self._told[choice.index] = _Told()
        if self.generation == "A":
            new = told.add({"content": Raw(msgspec.json.encode(delta.content))})
        else:
            new = told.add(_members.decode(choice.delta))
        new += told.logprobs.add(_object(choice.logprobs), frozenset())
        told.finish = choice.finish_reason or told.finish
        self._grow(new * _NAME_TAKES)
        return b""

    def end(self) -> bytes:
        """Return no bytes: the answer is `result()`."""
        return b""

    def result(self) -> bytes:
        """Write the whole answer; meant for a reading that is done and has no fault.

        An upstream that told no usage gets its completion's content chunks counted.
        """
        return msgspec.json.encode(
            _Completion(
                id=self.id,
                created=self.created,
                model=self.served_model or self.model or self.asked,
                choices=[told.whole(index) for index, told in sorted(self._told.items())],
                usage=Raw(self.usage_text() or counted(self.tokens)),
            )
        )
