"""What is no part of an answer reads as OpenAI's own errors and comments do."""

import json

import pytest

from exo_supervisor.wire.dialect import Reply, Told
from exo_supervisor.wire.openai.framing import FRAMING, kind_of
from exo_supervisor.wire.openai.inbound import read_chat

REPLY = Reply("r", 1, "m", read_chat(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'))


def test_errors_have_openais_shape() -> None:
    assert json.loads(FRAMING.error_body(Told(400, "bad_json", "no", "model"))) == {
        "error": {
            "message": "no",
            "type": "invalid_request_error",
            "param": "model",
            "code": "bad_json",
        }
    }
    event = FRAMING.error_event(Told(502, "attempts_failed", "no"), REPLY)
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert json.loads(event[6:])["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (413, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_the_type_of_an_error_follows_its_status(status: int, kind: str) -> None:
    assert kind_of(status) == kind


def test_who_serves_and_that_somebody_is_at_work_are_comments() -> None:
    assert FRAMING.keepalive(REPLY) == b": keep-alive\n\n"
    assert FRAMING.served(b'{"target":"t"}', REPLY) == b': supervisor {"target":"t"}\n\n'
