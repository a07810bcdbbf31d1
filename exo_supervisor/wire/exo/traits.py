"""How each kind of peer differs from what OpenAI's dialect promises: one row a kind.

This is what asking, reading, probing and judging depend on; a new kind of peer, or a fault of an
old one, is a row or a column here, never a test of a letter elsewhere. The core may not import this
and is told its part at the border, the `rules` of each row, by `Policy.peers`.
"""

from typing import Final, Literal

from msgspec import Raw, Struct

from exo_supervisor.core.names import Generation
from exo_supervisor.core.policy import PeerRules
from exo_supervisor.wire.chat.piece import Piece
from exo_supervisor.wire.exo.hazards import RUNNER_DIES_OF
from exo_supervisor.wire.lenient_json import dumps
from exo_supervisor.wire.untrusted_json import as_object

_ROLE = b'{"role":"assistant",'


class Traits(Struct, frozen=True):
    """One kind of peer; every default is what a provider of OpenAI's dialect does."""

    dialect: Literal["openai", "exo"] = "openai"
    exo: bool = False
    """Its errors come in Exo's words, its pieces repeat the role, and a call's `id` is in its
    `function`, too."""
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
    rules: PeerRules | None = None
    """What the core is told of it; providers are told one by one (`core.policy.Cloud`)."""

    @property
    def has_state(self) -> bool:
        """Whether its state tells where models stand, and who is at work for a silent request."""
        return self.rules is not None and self.rules.has_state

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


_IGNORES = frozenset(
    {
        "n", "response_format", "logit_bias", "tool_choice", "parallel_tool_calls", "modalities",
        "audio", "web_search_options", "functions",
    }
)  # fmt: skip
"""Demands that every generation accepts and ignores."""
_A = PeerRules(
    ignored=_IGNORES | {"logprobs", "tools", "prefill"},
    has_state=False, knows_itself=False, ring=True, one_at_a_time=True, loads_late=True,
)  # fmt: skip
"""`prefill` is a last message of the assistant that the model is to go on with: A answers it anew.

It puts tools into the prompt, but never answers with a call. Its sampling is the node's own:
temperature, top_p, top_k, min_p, seed and penalties have no effect there and are no demands.
"""
_B = PeerRules(ignored=_IGNORES, dies_of=RUNNER_DIES_OF, batches_by_paths=True)
_C = PeerRules(ignored=_IGNORES, dies_of=RUNNER_DIES_OF)

PROVIDER: Final = Traits()
TRAITS: Final[dict[Generation | None, Traits]] = {
    "A": Traits(
        dialect="exo", exo=True, nulls=True, runs_on=True, any_model=True, bare_end=True,
        made_up=True, needs_content=True, rules=_A,
    ),
    "B": Traits(dialect="exo", exo=True, nulls=True, rules=_B),
    "C": Traits(dialect="exo", exo=True, rules=_C),
    None: PROVIDER,
}  # fmt: skip
"""As of v0.0.15, v1.0.71 and 09f9ea313; None is a provider."""
PEERS: Final[dict[Generation, PeerRules]] = {"A": _A, "B": _B, "C": _C}
"""What the core is told, but for its timers, which are the configuration's."""
