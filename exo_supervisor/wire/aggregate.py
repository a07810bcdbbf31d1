"""One upstream answer as the one JSON object that a client gets which did not stream."""

from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chunks import Choice, Delta, counted
from exo_supervisor.wire.reading import Reading
from exo_supervisor.wire.shapes import as_list, as_object

_MOST_BYTES = 64 * 1024 * 1024
_TEXTS = frozenset({"content", "reasoning_content", "reasoning", "refusal"})
_FUNCTION_TEXTS = frozenset({"arguments"})

_members = msgspec.json.Decoder(dict[str, object])


@dataclass(slots=True)
class _Merged:
    """One object whose members came in pieces: texts and lists grow, the rest came once."""

    texts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    lists: dict[str, list[object]] = field(default_factory=dict[str, list[object]])
    others: dict[str, object] = field(default_factory=dict[str, object])

    def add(self, members: dict[str, object], growing: frozenset[str]) -> None:
        for name, value in members.items():
            if name in growing and isinstance(value, str):
                self.texts.setdefault(name, []).append(value)
            elif as_list(value):
                self.lists.setdefault(name, []).extend(as_list(value))
            elif value and name not in self.others:
                self.others[name] = value

    def whole(self) -> dict[str, object]:
        texts = {name: "".join(parts) for name, parts in self.texts.items()}
        return {**self.others, **self.lists, **texts}


@dataclass(slots=True)
class _Call:
    """One call of a tool; its name and id came once, its arguments in pieces."""

    call: _Merged = field(default_factory=_Merged)
    function: _Merged = field(default_factory=_Merged)

    def add(self, members: dict[str, object]) -> None:
        function = as_object(members.pop("function", None))
        function.pop("id", None)
        members.pop("index", None)
        self.call.add(members, frozenset())
        self.function.add(function, _FUNCTION_TEXTS)

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

    def add(self, members: dict[str, object]) -> None:
        members.pop("role", None)
        for call in map(as_object, as_list(members.pop("tool_calls", None))):
            place = call.get("index")
            known = place if isinstance(place, int) else len(self.calls)
            self.calls.setdefault(known, _Call()).add(call)
        function = as_object(members.pop("function_call", None))
        if function:
            self.function = self.function or _Merged()
            self.function.add(function, _FUNCTION_TEXTS)
        self.message.add(members, _TEXTS)

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
    usage: msgspec.Raw
    object: str = "chat.completion"


@dataclass(slots=True, kw_only=True)
class Aggregate(Reading):
    """Gathers an upstream's events into one answer of at most 64 MiB."""

    _told: dict[int, _Told] = field(default_factory=dict[int, _Told], init=False)
    _size: int = field(default=0, init=False)

    def take(self, choice: Choice, delta: Delta) -> bytes:
        """Add what one chunk says; returns no bytes, since the client gets them at the end."""
        self._size += len(bytes(choice.delta))
        if choice.logprobs is not None:
            self._size += len(msgspec.json.encode(choice.logprobs))
        if self._size > _MOST_BYTES:
            self.fail(Fault.OVERSIZED, f"the answer is larger than {_MOST_BYTES} bytes")
            return b""
        told = self._told.get(choice.index)
        if told is None:
            told = self._told[choice.index] = _Told()
        if self.generation == "A":
            told.add({"content": delta.content})
        else:
            told.add(_members.decode(choice.delta))
        if choice.logprobs is not None:
            told.logprobs.add(as_object(choice.logprobs), frozenset())
        told.finish = choice.finish_reason or told.finish
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
                usage=msgspec.Raw(self.usage_text() or counted(self.tokens)),
            )
        )
