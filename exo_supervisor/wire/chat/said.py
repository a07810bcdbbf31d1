"""What a delta says in words, and of which kind they are; calls of tools are no words."""

from typing import Literal

from exo_supervisor.wire.chat.piece import Delta
from exo_supervisor.wire.untrusted_json import as_list, as_object

Said = Literal["text", "thought", "refusal"]


def said_in(delta: Delta) -> list[tuple[Said, str]]:
    """Return texts of a delta in the order in which they are told, none of them empty."""
    found: list[tuple[Said, object]] = []
    found.append(("thought", delta.reasoning_content or delta.reasoning))
    found.append(("text", delta.content))
    for part in map(as_object, as_list(delta.content)):
        found.append(("text", part.get("text")))
        for inner in as_list(part.get("thinking")):
            found.append(("thought", as_object(inner).get("text")))  # noqa: PERF401 - loses the type
    found.append(("refusal", delta.refusal))
    return [(kind, text) for kind, text in found if isinstance(text, str) and text]
