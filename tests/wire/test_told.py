"""A refusal names a field as the client's own dialect knows it."""

import pytest

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.wire.table import OPERATIONS

TEXT = "no target of 'm' honours response_format, tools: leave it out, or use another model"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "response_format"),
        ("/v1/messages", "output_config.format"),
        ("/v1/responses", "text.format"),
        ("/api/chat", "format"),
        ("/api/generate", "format"),
    ],
)
def test_a_field_is_named_as_its_client_knows_it(path: str, name: str) -> None:
    refusal = Refusal(400, "unsupported_field", TEXT, param="response_format")
    said = OPERATIONS[path].framing.told(refusal, "req-1")
    assert (said.param, said.request_id) == (name, "req-1")
    assert said.message == TEXT.replace("response_format", name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/messages", "max_tokens"),
        ("/v1/responses", "max_output_tokens"),
        ("/api/chat", "options.num_predict"),
    ],
)
def test_what_would_make_a_request_cheaper_is_named_so_too(path: str, name: str) -> None:
    text = "the budget is spent (a lower max_tokens makes that less)"
    said = OPERATIONS[path].framing.told(Refusal(402, "budget_spent", text), "")
    assert said.message == text.replace("max_tokens", name)


def test_whom_a_field_kept_from_being_asked_is_told_with_the_clients_name_for_it() -> None:
    text = "nothing can serve 'm' now (exo_down); who does not take response_format was not asked"
    said = OPERATIONS["/v1/messages"].framing.told(Refusal(503, "no_target", text), "")
    assert said.message.endswith("who does not take output_config.format was not asked")


def test_other_texts_are_told_as_they_are() -> None:
    refusal = Refusal(404, "model_not_found", "no such model: response_format", param="model")
    assert OPERATIONS["/v1/messages"].framing.told(refusal, "").message == refusal.message
    bare = Refusal(400, "unsupported_field", "no target honours thinking")
    assert OPERATIONS["/v1/messages"].framing.told(bare, "").param is None
