"""What a client asks for, in the neutral shape: OpenAI's, whatever language it speaks itself."""

from functools import lru_cache
from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from exo_supervisor.wire.exo.hazards import Hazard
from exo_supervisor.wire.exo.traits import PROVIDER, Traits

TRUE: Final = Raw(b"true")
FALSE: Final = Raw(b"false")

Fields = dict[str, Raw]
"""The top-level fields of a body, each as it came, in the client's order."""
Kind = Literal["chat", "completions", "embeddings"]
_PROMPTS: Final[dict[Kind, str]] = {
    "chat": "messages",
    "completions": "prompt",
    "embeddings": "input",
}


class ChatRequest(Struct, frozen=True, gc=False):
    """A request as far as it is ours to read; `fields` holds every field untouched.

    `demands` names the fields that change the answer and that some target is known to ignore.
    `hazards` names the fields that end some target that takes them, and how.
    `max_tokens` is `max_completion_tokens` where the client sent both.

    `fields` are in the shape that OpenAI gives the `kind`. Where the client's dialect is another,
    `native` holds its own fields, for an upstream that speaks it too, and so do `headers`: they go
    to no other. What OpenAI's shape cannot say is a demand named as the client's field is, one of
    `native_demands`, too: no target of another dialect is asked for it. `filled` are those of the
    `fields` that a row filled in, which `native` has not.
    """

    model: str
    stream: bool
    include_usage: bool
    demands: frozenset[str]
    hazards: dict[str, Hazard]
    max_tokens: int | None
    stop: tuple[str, ...]
    n: int | None
    fields: Fields
    kind: Kind = "chat"
    dialect: str = "openai"
    native: Fields | None = None
    headers: tuple[tuple[str, str], ...] = ()
    native_demands: frozenset[str] = frozenset()
    filled: Fields = {}
    preload: bytes = b""
    """It says nothing, and wants its model to be ready: the answer that says that it is."""

    @property
    def prompt(self) -> Raw:
        """What is to be answered, by whatever name its kind has for it."""
        return self.fields[_PROMPTS[self.kind]]


class Ask(Struct, frozen=True):
    """How one target is asked: under which name of the model, and for what kind of answer.

    Without `streamed` it is asked for one whole answer, whatever the client asked of us; with
    `usage` for a stream that tells its usage. It takes no fields `without`.
    """

    model: str
    traits: Traits = PROVIDER
    streamed: bool = True
    usage: bool = True
    without: frozenset[str] = frozenset()

    def named(self) -> Raw:
        """Return the model's name as JSON."""
        return _as_json(self.model)


@lru_cache(maxsize=256)  # few are asked again and again
def _as_json(name: str) -> Raw:
    return Raw(msgspec.json.encode(name))
