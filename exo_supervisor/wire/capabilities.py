"""What models can, by what their targets' lists say of it, in one vocabulary.

It is shown to clients and decides nothing; the words are a stranger's, so few and plain ones pass.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from exo_supervisor.wire.untrusted_json import as_list, as_object

MAX_CAPABILITIES: Final = 32
_WORD: Final = r"[a-z][a-z0-9_.-]{0,39}"
_SAME: Final = {
    "image_input": "vision",
    "image": "vision",
    "function_calling": "tools",
    "reasoning": "thinking",
    "completion_chat": "completion",
}
"""Other words for the same, as Anthropic, OpenRouter and Mistral have them; Ollama's are ours."""
_TOLD_IN: Final = frozenset({"capabilities", "supported_parameters", "architecture"})
_PARAMETERS: Final = frozenset({"tools", "reasoning", "structured_outputs"})
"""Which of the parameters that OpenRouter lists are more than a parameter."""


def capabilities_of(card: dict[str, object]) -> tuple[str, ...]:
    """Read what a list says that a model can; nothing of it has to be there, or be as it should."""
    if _TOLD_IN.isdisjoint(card):  # most lists tell nothing of it, and some are long
        return ()
    architecture = as_object(card.get("architecture"))
    told = (
        *_named(card.get("capabilities")),
        *(word for word in _words(card.get("supported_parameters")) if word in _PARAMETERS),
        *(word for word in _words(architecture.get("input_modalities")) if word != "text"),
    )
    plain = (_SAME.get(word, word) for word in told if re.fullmatch(_WORD, word))
    return tuple(dict.fromkeys(plain))[:MAX_CAPABILITIES]


def capability_words(told: object) -> tuple[str, ...]:
    """Read a bare list of them."""
    return capabilities_of({"capabilities": told})


def _named(told: object) -> Iterable[str]:
    """Name those of a list, or those of an object that it says are supported."""
    has = as_object(told).items()
    return [*_words(told), *(name for name, what in has if what is True or _supported(what))]


def _supported(what: object) -> bool:
    return as_object(what).get("supported") is True


def _words(told: object) -> Iterator[str]:
    return (word for word in as_list(told)[:256] if isinstance(word, str))
