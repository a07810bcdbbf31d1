"""What is no part of an answer reads as Ollama's own lines do."""

import json

import pytest

from exo_supervisor.wire.dialect import Framing, Told
from exo_supervisor.wire.ollama.framing import FRAMING, GENERATE
from tests.wire.requests import a_reply

TOLD = Told(502, "attempts_failed", "it broke off")
EMPTY = [
    (FRAMING, {"message": {"role": "assistant", "content": ""}}),
    (GENERATE, {"response": ""}),
]


def test_an_error_is_a_text_and_ends_a_stream_as_one_line() -> None:
    body = FRAMING.error_body(TOLD)
    assert json.loads(body) == {"error": "it broke off", "code": "attempts_failed"}
    assert FRAMING.error_event(TOLD, a_reply()) == body + b"\n"


@pytest.mark.parametrize(("framing", "empty"), EMPTY)
def test_a_client_that_waits_gets_a_line_without_a_word(
    framing: Framing, empty: dict[str, object]
) -> None:
    line = {"model": "m", "created_at": "1970-01-01T00:00:07Z", **empty, "done": False}
    told = framing.keepalive(a_reply())
    assert told.count(b"\n") == 1
    assert told.endswith(b"\n")
    assert json.loads(told) == line
    served = json.loads(framing.served(b'{"target":"t"}', a_reply()))
    assert served == line | {"supervisor": {"target": "t"}}
