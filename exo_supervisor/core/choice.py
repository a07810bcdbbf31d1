"""Why a request goes where it goes, as the decision itself knew it: for people, who ask afterwards.

Nothing is decided by it, and next to nothing made for it where there was nothing to choose.
"""

from typing import Literal

from msgspec import Struct

Chosen = Literal["only", "fastest", "in_turn", "home", "panic", "least_busy", "again", "anew"]
"""By what: the only one, the balance's word, a conversation's place; or a last resort.

`panic` probes a breaker that rests, `again` tries a target a second time, `anew` asks it without a
field that it refused.
"""
Awaited = Literal["first_look", "model", "turn", "pause"]
"""What a request waited for: the first look's end, a model, its turn, or a pause's end."""
Expected = tuple[str, float | None]
"""A target, with its expected wait in seconds, where waits decided."""


class Passed(Struct, frozen=True, gc=False):
    """A target that a request passed over: why, and in how many seconds that was to end.

    `reason` is that of a shift, or `local_only`, `not_trusted`, `route`, `retry_budget`; of a side
    as a whole `target` is its name.
    """

    target: str
    model: str | None
    reason: str
    detail: str = ""
    ends: float | None = None


class Choice(Struct, frozen=True, gc=False):
    """Why an attempt goes to its target, or a request to none.

    `compared` are targets that could all be taken, each with its expected wait in seconds where
    waits decided. `waited` says what was waited for before; `moved`, that a conversation left its
    place, whose cache it loses.
    """

    why: Chosen = "only"
    passed: tuple[Passed, ...] = ()
    compared: tuple[Expected, ...] = ()
    waited: Awaited | None = None
    moved: bool = False


ONLY = Choice()
"""There was one target, and nothing in its way."""
HOME, ANEW, PANIC, LEAST_BUSY = map(Choice, ("home", "anew", "panic", "least_busy"))
