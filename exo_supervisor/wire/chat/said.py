"""What a delta says in words, and of which kind they are; calls of tools are no words."""

from typing import Literal

from exo_supervisor.wire.chat.piece import Delta
from exo_supervisor.wire.untrusted_json import as_list, as_object

Said = Literal["text", "thought", "refusal"]


def said_in(delta: Delta) -> list[tuple[Said, str]]:
    """Return texts of a delta in the order in which they are told, none of them empty."""
    thought = delta.reasoning_content or delta.reasoning
    found: list[tuple[Said, object]] = []
    found += [("thought", thought), ("text", delta.content)]
    for part in map(as_object, as_list(delta.content)):
        found.append(("text", part.get("text")))
        inner = part.get("thinking")
        found += [("thought", as_object(each).get("text")) for each in as_list(inner)]
    found.append(("refusal", delta.refusal))
    return [(kind, text) for kind, text in found if isinstance(text, str) and text]
