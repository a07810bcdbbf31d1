"""Which models there are, as clients of OpenAI's dialect are told."""

from collections.abc import Mapping

import msgspec

from exo_supervisor.core.fleet.model_facts import NO_FACTS, ModelFacts


def _card(name: str, created: int, facts: ModelFacts) -> Mapping[str, object]:
    card: dict[str, object] = {"id": name, "object": "model", "created": created}
    card["owned_by"] = "exo-supervisor"
    if facts.context:
        card["context_length"] = facts.context
    if facts.capabilities:
        card["capabilities"] = facts.capabilities
    return card


def model_list(facts: Mapping[str, ModelFacts], created: int, *, codex: bool = True) -> bytes:
    """Write the answer of `GET /v1/models`; `created` is in seconds since the epoch.

    Codex reads `models`, and is told of none: an entry has to bring a system prompt, which would
    take the place of its own. Others take an empty list at its word: without `codex` they get
    `data` alone.
    """
    cards = [_card(name, created, its) for name, its in facts.items()]
    told = {"object": "list", "data": cards}
    return msgspec.json.encode({**told, "models": ()} if codex else told)


def model_card(name: str, created: int, facts: ModelFacts = NO_FACTS) -> bytes:
    """Write the answer of `GET /v1/models/{id}`."""
    return msgspec.json.encode(_card(name, created, facts))
