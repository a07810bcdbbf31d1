"""Whether the arguments of an answer's calls have come to their end.

Two things look alike to whoever only decodes them. Text that begins as JSON and stops within it was
cut: some servers say `tool_calls` for an answer that ran into its limit, or lost the rest on the
way. A client would run half a call, or wait for its end, so that such an answer is not whole. Text
that can be no beginning of JSON is what the model wrote, all of it: models make such mistakes, and
clients of chats, to whom arguments are a text, hand it back to the model to do better. A dialect in
which they are an object has no word for it, and its writer says so.
"""

import re
from typing import Final

import msgspec
from msgspec import Raw

from exo_supervisor.wire.untrusted_json import UNREADABLE, as_object

CUT: Final = frozenset({"length", "content_filter"})
"""Finish reasons that say that the answer was cut: with it may be its last call."""
MAX_HELD: Final = 4 * 1024 * 1024
"""Characters of arguments that are kept for the look at their end; beyond, none is looked at."""
_CALL_TAKES = 256
_SURROGATE = r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
"""Of which one without its other half is taken for the end of the text by the decoder."""

_json = msgspec.json.Decoder(Raw)
_Key = tuple[int, object]


class Arguments:
    """The arguments of one answer's calls, in their pieces."""

    __slots__ = ("_ids", "_told", "held")

    def __init__(self) -> None:
        self._told: dict[_Key, list[str]] = {}
        self._ids: dict[_Key, object] = {}
        self.held = 0

    def add(self, choice: int, calls: list[dict[str, object]]) -> None:
        """Add the pieces of one delta; one that is no text was told whole."""
        for call in calls:
            text = as_object(call.get("function")).get("arguments")
            key = choice, str(call.get("index"))
            identity = call.get("id") or self._ids.get(key)
            if key not in self._told or identity != self._ids.get(key):  # one in each other's place
                self.held += _CALL_TAKES
                self._told[key], self._ids[key] = [], identity
            if isinstance(text, str) and self.held <= MAX_HELD:
                self.held += len(text)
                self._told[key].append(text)

    def end_within(self, choice: int) -> bool:
        """Say whether any of a choice's calls stops in the middle of its JSON."""
        if self.held > MAX_HELD:
            return False
        return any(
            at == choice and _is_cut("".join(parts)) for (at, _), parts in self._told.items()
        )


def _is_cut(text: str) -> bool:
    if not text.strip():
        return False
    try:
        _json.decode(re.sub(_SURROGATE, "?", text))
    except UNREADABLE as error:
        return "truncated" in str(error)
    return False
