"""Leaves out of a request what one target does not take and without which it means the same.

Which fields those are is told once, here and in `wordings.SPARE`. What changes an answer's meaning
(tools, a form, a stop text) is never among them.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct, structs

from exo_supervisor.core.load.marks import STREAM, THINKING
from exo_supervisor.core.policy import NEW_LIMIT, NO_STREAM_OPTIONS, OLD_LIMIT
from exo_supervisor.wire.chat.piece import NULL
from exo_supervisor.wire.chat.request import ChatRequest, Fields

_SAMPLING: Final = frozenset(
    {"temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty",
     "repetition_penalty"}
)  # fmt: skip
"""A client's own, which newer models choose for themselves."""
_EFFORT: Final = "reasoning_effort"
_OURS: Final = frozenset({STREAM, NO_STREAM_OPTIONS})
"""Asked for by us, whatever the client asked for."""
_LIMITS: Final = frozenset({NEW_LIMIT, OLD_LIMIT})
"""Two names of one thing."""
_THOUGHTS: Final = frozenset({b'"thinking"', b'"redacted_thinking"'})


class _Turn(Struct):
    role: Raw = NULL
    content: Raw = NULL


class _Block(Struct):
    type: Raw = NULL


_turn = msgspec.json.Decoder(_Turn)
_members = msgspec.json.Decoder(dict[str, Raw])
_raws = msgspec.json.Decoder(list[Raw])
_block = msgspec.json.Decoder(_Block)


def leave_out(
    request: ChatRequest, refused: frozenset[str], dialect: str | None
) -> tuple[ChatRequest, list[str]]:
    """Return a request without what a target of a dialect refused, and what of that it had."""
    spare = _SAMPLING & refused
    if _EFFORT in refused and (
        request.dialect not in {"openai", dialect} or _EFFORT in request.filled
    ):  # no word of the client's
        spare |= {_EFFORT}
    native = request.native if request.dialect == dialect else None
    sent = request.fields if native is None else native
    gone = spare & (sent.keys() | request.filled.keys())
    if gone:
        fields, filled = _without(request.fields, gone), _without(request.filled, gone)
        native = None if native is None else _without(native, gone)
        request = structs.replace(
            request, fields=fields, filled=filled, native=native or request.native
        )
    if THINKING not in refused or native is None:
        return request, sorted(gone)
    thoughtless = _without_thoughts(native)
    if thoughtless is native:
        return request, sorted(gone)
    return structs.replace(request, native=thoughtless), sorted({*gone, THINKING})


def can_spare(request: ChatRequest, field: str, dialect: str | None) -> bool:
    """Say whether a request can be made without a field, and was made with it."""
    if field in _LIMITS:
        return request.kind == "chat" and request.max_tokens is not None
    return field in _OURS or bool(leave_out(request, frozenset({field}), dialect)[1])


def _without(fields: Fields, names: frozenset[str]) -> Fields:
    return {name: raw for name, raw in fields.items() if name not in names}


def _without_thoughts(native: Fields) -> Fields:
    """Leave out what the model thought in earlier turns, as far as another provider signed it.

    A turn that goes on after a call must begin with a thought where thinking is asked for, so that
    it is not asked for there.
    """
    turns, found, calls = list[Raw](), False, False
    for raw in _raws.decode(native["messages"]):
        turn = _turn.decode(raw)
        its = bytes(turn.role) == b'"assistant"'
        listed = its and bytes(turn.content).startswith(b"[")
        blocks = _raws.decode(turn.content) if listed else []
        types = [bytes(_block.decode(block).type) for block in blocks]
        calls = b'"tool_use"' in types if its else calls
        kept = [b for b, kind in zip(blocks, types, strict=True) if kind not in _THOUGHTS]
        if len(kept) == len(blocks):
            turns.append(raw)
            continue
        found = True
        if kept:
            content = Raw(msgspec.json.encode(kept))
            turns.append(Raw(msgspec.json.encode(_members.decode(raw) | {"content": content})))
    if not found:
        return native
    fields = native | {"messages": Raw(msgspec.json.encode(turns))}
    if calls and b'"enabled"' in bytes(native.get("thinking", NULL)):
        del fields["thinking"]
    return fields
