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


def test_other_texts_are_told_as_they_are() -> None:
    refusal = Refusal(404, "model_not_found", "no such model: response_format", param="model")
    assert OPERATIONS["/v1/messages"].framing.told(refusal, "").message == refusal.message
    bare = Refusal(400, "unsupported_field", "no target honours thinking")
    assert OPERATIONS["/v1/messages"].framing.told(bare, "").param is None
