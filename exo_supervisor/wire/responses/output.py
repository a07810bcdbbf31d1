"""Pieces of an answer as output items, and the events that tell of them.

A message, or a thought, goes on as long as pieces of its own kind come. Calls of tools may come
interleaved: each is an item of its own, and several are open at once. An item is done when what
follows can be none of it.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.wire.chat.gathered import MAX_ANSWER_BYTES
from exo_supervisor.wire.chat.piece import NULL, JoinError, OversizedAnswerError, Piece, WriteTexts
from exo_supervisor.wire.chat.said import Said, said_in
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.lenient_json import dumps
from exo_supervisor.wire.openai.calls import Calls, arguments_in, calls_of
from exo_supervisor.wire.openai.merged import Grown, write
from exo_supervisor.wire.responses.calls import Called
from exo_supervisor.wire.responses.framing import event
from exo_supervisor.wire.responses.tools import Named, names_in

Json = dict[str, object]

_ITEM_TAKES: Final = 512
"""Bytes of memory that an item takes over its text, about."""


class _Kind(NamedTuple):
    """A kind of words: the item that it stands in, its part of that, and how it is told."""

    item: str
    part: str
    event: str
    text: str
    beside: Json
    beside_delta: Json


_KINDS: Final[dict[Said, _Kind]] = {
    "text": _Kind(
        "message", "output_text", "response.output_text", "text",
        {"annotations": [], "logprobs": []}, {"logprobs": []},
    ),
    "refusal": _Kind("message", "refusal", "response.refusal", "refusal", {}, {}),
    "thought": _Kind("reasoning", "reasoning_text", "response.reasoning_text", "text", {}, {}),
}  # fmt: skip
_SHORT: Final = {"message": "msg", "reasoning": "rs"}


class _Part(Struct):
    """One part of an item's content; the text grows."""

    kind: _Kind
    text: Grown = msgspec.field(default_factory=Grown)

    def told(self) -> Json:
        return {"type": self.kind.part, self.kind.text: self.text, **self.kind.beside}


class _Spoken(Struct):
    """A message, or a thought."""

    id: str
    place: int
    type: str
    parts: list[_Part] = msgspec.field(default_factory=list)
    status: str = "in_progress"

    def told(self) -> Json:
        content = [part.told() for part in self.parts]
        item: Json = {"id": self.id, "type": self.type, "status": self.status, "content": content}
        return item | ({"summary": ()} if self.type == "reasoning" else {"role": "assistant"})

    def at(self) -> Json:
        """Return where the last part stands."""
        return {
            "item_id": self.id, "output_index": self.place, "content_index": len(self.parts) - 1,
        }  # fmt: skip


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Output:
    """Makes the items of one answer; with `silent`, no events are told of them.

    `begun` is the text that the client has from another upstream, as JSON.
    """

    reply: Reply
    silent: bool = False
    begun: bytes = b""
    held: int = field(default=0, init=False)

    _items: list[_Spoken | Called] = field(default_factory=list, init=False)
    _spoken: _Spoken | None = field(default=None, init=False)
    _calls: Calls = field(default_factory=Calls, init=False)
    _called: dict[int, Called] = field(default_factory=dict, init=False)
    """By the id of the call that it is in `_calls`."""
    _undone: dict[int, Called] = field(default_factory=dict, init=False)
    """Those of them of which more may come."""
    _ids: set[str] = field(default_factory=lambda: {""}, init=False)
    """Ids that no other call may have."""
    _names: dict[str, Named] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.begun:
            self._spoken = _Spoken(self._id("msg"), 0, "message", [_Part(_KINDS["text"])])
            self._items.append(self._spoken)
            self._spoken.parts[0].text.add(self.begun)

    def take(self, piece: Piece) -> bytes:
        """Return the events of one piece. Raises JoinError and OversizedAnswerError."""
        calls = calls_of(piece)
        events = [self._say(_KINDS[kind], dumps(text)) for kind, text in said_in(piece.delta)]
        return b"".join([*events, *map(self._call, calls)])

    def texts(self) -> WriteTexts | None:
        """Return what writes texts into the part that is open, as long as it is."""
        spoken = self._spoken
        if spoken is None:
            return None
        part = spoken.parts[-1]

        def add(texts: list[bytes]) -> bytes | None:
            gone = self._spoken is not spoken or spoken.parts[-1] is not part
            if gone or b'""' in texts or self.held + sum(map(len, texts)) > MAX_ANSWER_BYTES:
                return None
            return b"".join([self._say(part.kind, text) for text in texts])

        return add

    def close(self, *, cut: bool) -> bytes:
        """Return the events that end all items; `cut` says that the answer was, too."""
        events = [self._end_spoken(cut=cut)]
        events += [self._end_call(called, cut=cut) for called in list(self._undone.values())]
        return b"".join(events)

    def items(self) -> list[Json]:
        """Return all items, for `write`."""
        return [item.told() for item in self._items]

    # ---------------------------------------------------------------- words

    def _say(self, kind: _Kind, text: bytes) -> bytes:
        self._hold(len(text))
        events = self._open(kind)
        spoken = self._spoken
        assert spoken is not None  # noqa: S101 - it was opened
        spoken.parts[-1].text.add(text)
        return events + self._event(
            f"{kind.event}.delta", **spoken.at(), delta=Raw(text), **kind.beside_delta
        )

    def _open(self, kind: _Kind) -> bytes:
        """Open the item and the part in which words of a kind stand, unless they are."""
        events, spoken = b"", self._spoken
        if spoken is None or spoken.type != kind.item:
            events = self._end_spoken() + self._end_whole_calls()
            place = len(self._items)
            spoken = self._spoken = _Spoken(self._id(_SHORT[kind.item]), place, kind.item)
            self._items.append(spoken)
            self._hold(_ITEM_TAKES)
            events += self._added(spoken)
        if not spoken.parts or spoken.parts[-1].kind is not kind:
            if spoken.parts:
                events += self._end_part(spoken)
            self._hold(_ITEM_TAKES)
            spoken.parts.append(_Part(kind))
            events += self._part_event(spoken, "added")
        return events

    def _end_part(self, spoken: _Spoken) -> bytes:
        part = spoken.parts[-1]
        text = {part.kind.text: _raw(part.text), **part.kind.beside_delta}
        return self._event(f"{part.kind.event}.done", **spoken.at(), **text) + self._part_event(
            spoken, "done"
        )

    def _part_event(self, spoken: _Spoken, what: str) -> bytes:
        part = _raw(spoken.parts[-1].told())
        return self._event(f"response.content_part.{what}", **spoken.at(), part=part)

    def _end_spoken(self, *, cut: bool = False) -> bytes:
        spoken, self._spoken = self._spoken, None
        if spoken is None:
            return b""
        events = self._end_part(spoken)
        spoken.status = "incomplete" if cut else "completed"
        return events + self._done(spoken)

    # ---------------------------------------------------------------- calls

    def _call(self, told: dict[str, Raw]) -> bytes:
        arguments = arguments_in(told)
        self._hold(len(arguments))
        call, _ = self._calls.take(told)
        called = self._called.get(id(call))
        if called is None:
            self._hold(_ITEM_TAKES)
            called = self._called[id(call)] = self._undone[id(call)] = Called(call)
        if called.done and arguments:
            raise JoinError("a call of a tool goes on after it was whole")
        events = b""
        if called.id == "" and call.name:
            events = self._end_spoken() + self._end_whole_calls()
            events += self._begin(called)
        called.arguments.add(arguments or b'""')
        if not called.id or called.named.custom:
            return events
        return events + self._arguments(called, arguments)

    def _begin(self, called: Called) -> bytes:
        """Open the item of a call, with what came of its arguments before its name."""
        call = called.call
        if self._names is None:
            self._names = names_in((self.reply.chat.native or {}).get("tools", NULL))
        called.named = self._names.get(call.name) or Named(call.name)
        called.place = len(self._items)
        called.id = self._id("ctc" if called.named.custom else "fc")
        made_up = f"call_{self.reply.request}_{called.place}"
        called.call_id = made_up if call.id in self._ids else call.id
        self._ids.add(call.id)
        events = self._added(called)
        if called.arguments and not called.named.custom:
            events += self._arguments(called, _raw(called.arguments))
        self._items.append(called)
        return events

    def _arguments(self, called: Called, text: bytes | Raw) -> bytes:
        if not text:
            return b""
        return self._event(f"{called.event()}.delta", **called.at(), delta=Raw(text))

    def _end_whole_calls(self) -> bytes:
        undone = self._undone.values()
        whole = [each for each in undone if each.id and each.call.function.is_whole()]
        return b"".join([self._end_call(each) for each in whole])

    def _end_call(self, called: Called, *, cut: bool = False) -> bytes:
        """Tell that a call is done, unless it was cut off: nobody may take that for a whole one."""
        if not called.id:
            raise JoinError("a call of a tool that has no name")
        called.done = True
        del self._undone[id(called.call)]
        missing = called.seal(cut=cut)
        if missing is None:
            return b""
        events = self._arguments(called, missing)
        text: Json = {called.text_name(): _raw(called.text)}
        if not called.named.custom:
            text["name"] = called.named.name
        events += self._event(f"{called.event()}.done", **called.at(), **text)
        return events + self._done(called)

    # ---------------------------------------------------------------- of all items

    def _added(self, item: _Spoken | Called) -> bytes:
        return self._event(
            "response.output_item.added", output_index=item.place, item=_raw(item.told())
        )

    def _done(self, item: _Spoken | Called) -> bytes:
        return self._event(
            "response.output_item.done", output_index=item.place, item=_raw(item.told())
        )

    def _event(self, kind: str, **told: object) -> bytes:
        return b"" if self.silent else event(self.reply, kind, **told)

    def _id(self, kind: str) -> str:
        return f"{kind}_{self.reply.request}_{len(self._items)}"

    def _hold(self, size: int) -> None:
        self.held += size
        if self.held > MAX_ANSWER_BYTES:
            raise OversizedAnswerError(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")


def _raw(value: object) -> Raw:
    parts: list[bytes] = []
    write(value, parts)
    return Raw(b"".join(parts))
