"""Clients are told of models as OpenAI tells of them."""

import json

from exo_supervisor.wire.openai.models import model_card, model_list


def test_models_are_listed_and_shown() -> None:
    card = {"id": "m", "object": "model", "created": 7, "owned_by": "exo-supervisor"}
    assert json.loads(model_list({"m": 0}, 7)) == {"object": "list", "data": [card], "models": []}
    assert json.loads(model_card("m", 7)) == card
    with_context = card | {"context_length": 4096}
    assert json.loads(model_list({"m": 4096}, 7))["data"] == [with_context]
    assert json.loads(model_card("m", 7, 4096)) == with_context
