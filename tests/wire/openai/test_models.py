"""Clients are told of models as OpenAI tells of them."""

import json

from exo_supervisor.core.fleet.model_facts import NO_FACTS, ModelFacts
from exo_supervisor.wire.openai.models import model_card, model_list


def test_models_are_listed_and_shown() -> None:
    card = {"id": "m", "object": "model", "created": 7, "owned_by": "exo-supervisor"}
    listed = json.loads(model_list({"m": NO_FACTS}, 7))
    assert listed == {"object": "list", "data": [card], "models": []}
    assert json.loads(model_card("m", 7)) == card


def test_what_is_known_of_a_model_is_told() -> None:
    facts = ModelFacts(4096, ("text", "tools"))
    told = json.loads(model_card("m", 7, facts))
    assert (told["context_length"], told["capabilities"]) == (4096, ["text", "tools"])
    assert json.loads(model_list({"m": facts}, 7))["data"] == [told]
