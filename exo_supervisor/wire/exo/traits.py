"""How each kind of peer differs from what OpenAI's dialect promises: one row a kind.

This is what asking, reading, probing and judging depend on; a new kind of peer, or a fault of an
old one, is a row or a column here, never a test of a letter elsewhere. The core may not import this
and is told its part at the border, by `Policy.ignored` and `Policy.dies_of`.
"""

from typing import Final, Literal

from msgspec import Raw, Struct

from exo_supervisor.core.names import Generation
from exo_supervisor.wire.chat.piece import Piece
from exo_supervisor.wire.lenient_json import dumps
from exo_supervisor.wire.untrusted_json import as_object

_ROLE = b'{"role":"assistant",'


class Traits(Struct, frozen=True):
    """One kind of peer; every default is what a provider of OpenAI's dialect does."""

    dialect: Literal["openai", "exo"] = "openai"
    exo: bool = False
    """Its errors come in Exo's words, its pieces repeat the role, and a call's `id` is in its
    `function`, too."""
    has_state: bool = False
    """Its `/state` tells of placements, and whether somebody is at work for a silent request."""
    nulls: bool = False
    """Its deltas hold every member that it has, most of them null."""
    runs_on: bool = False
    """It keeps to no `max_tokens` and no `stop`, and leaves the end mark in the text."""
    any_model: bool = False
    """It answers with a model of its own where it has not the one that was asked."""
    bare_end: bool = False
    """Nothing follows the finish reason: neither a usage nor `[DONE]`. One token is one piece."""
    made_up: bool = False
    """What it tells beside the choices is made up."""
    needs_content: bool = False
    """A message without content is answered with a 500."""

    def tidy(self, piece: Piece) -> None:
        """Take out of a piece what OpenAI's schema does not know, or knows at the start only."""
        if not self.exo:
            return
        delta, raw = piece.delta, bytes(piece.raw)
        delta.role = None
        if delta.tool_calls is not None:
            for call in delta.tool_calls:
                as_object(call.get("function")).pop("id", None)
        elif not self.nulls:
            if raw.startswith(_ROLE):
                piece.raw = Raw(b"{%b" % raw[len(_ROLE) :])
            return
        piece.raw = Raw(dumps(delta))


PROVIDER: Final = Traits()
TRAITS: Final[dict[Generation | None, Traits]] = {
    "A": Traits(
        dialect="exo", exo=True, nulls=True, runs_on=True, any_model=True, bare_end=True,
        made_up=True, needs_content=True,
    ),
    "B": Traits(dialect="exo", exo=True, has_state=True, nulls=True),
    "C": Traits(dialect="exo", exo=True, has_state=True),
    None: PROVIDER,
}  # fmt: skip
"""As of v0.0.15, v1.0.71 and 09f9ea313; None is a provider."""
