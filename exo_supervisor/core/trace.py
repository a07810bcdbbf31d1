"""The trace that a request belongs to, as its client says by W3C's Trace Context.

What is malformed is as if it were not there: a trace is nothing that a request may fail by.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct

PARENT, STATE = "traceparent", "tracestate"
_PARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?"
)
_KEY: Final = r"[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}"
_MEMBER: Final = re.compile(rf"(?:{_KEY})=[ -+\--<>-~]{{0,255}}[!-+\--<>-~]")
MAX_MEMBERS: Final = 32
MAX_STATE: Final = 512
"""Characters of a state that is passed on; a longer one is not taken apart, but left out."""
_MAX_PARENT: Final = 256


class Trace(Struct, frozen=True):
    """A trace and the span within it that is the parent of ours, as they came and taken apart."""

    parent: str
    trace_id: int
    span_id: int
    flags: int
    state: str = ""

    def headers(self, *, house: bool) -> dict[str, str]:
        """Return what a target is sent of it.

        The ids are random, and let a provider see which requests belong together. The state is
        what other programs wrote down of the client, an account's name perhaps: it stays at home.
        """
        kept = {STATE: self.state} if house and self.state else {}
        return {PARENT: self.parent, **kept}


def read_trace(headers: Mapping[str, str], repeated: Collection[str] = ()) -> Trace | None:
    """Read what a client says; `repeated` headers came several times."""
    parent = headers.get(PARENT)
    if parent is None or PARENT in repeated or len(parent) > _MAX_PARENT:
        return None
    found = _PARENT.fullmatch(parent.strip(" \t"))
    if found is None or (found[1] == "00" and found[5] is not None):
        return None
    trace_id, span_id, flags = (int(part, 16) for part in (found[2], found[3], found[4]))
    return Trace(found[0], trace_id, span_id, flags, _state(headers.get(STATE, "")))


def _state(said: str) -> str:
    """Return a state that is well-formed, without blanks between its members; else nothing."""
    members = [part.strip(" \t") for part in said.split(",")] if len(said) <= MAX_STATE else []
    members = [member for member in members if member]
    names = {member.partition("=")[0] for member in members}
    fits = all(_MEMBER.fullmatch(member) for member in members)
    return ",".join(members) if fits and len(names) == len(members) <= MAX_MEMBERS else ""
