"""What is no part of an answer reads as Anthropic's own errors and pings do."""

import json

import pytest

from exo_supervisor.wire.anthropic.framing import FRAMING, type_of
from exo_supervisor.wire.dialect import Told
from tests.wire.requests import a_reply

ERROR = {
    "type": "error",
    "error": {"type": "not_found_error", "message": "no such model", "code": "model_not_found"},
    "request_id": "req-1",
}
TOLD = Told(404, "model_not_found", "no such model", "model", request_id="req-1")


def test_an_error_has_anthropics_shape_and_our_code() -> None:
    assert json.loads(FRAMING.error_body(TOLD)) == ERROR
    assert FRAMING.id_header == "request-id"


def test_a_stream_ends_in_an_error_event() -> None:
    event, data, rest = FRAMING.error_event(TOLD, a_reply()).split(b"\n", 2)
    assert (event, rest) == (b"event: error", b"\n")
    assert json.loads(data.removeprefix(b"data: ")) == ERROR


def test_a_client_that_waits_is_pinged_and_told_who_serves() -> None:
    assert FRAMING.keepalive(a_reply()) == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert FRAMING.served(b'{"target":"t"}', a_reply()) == b': supervisor {"target":"t"}\n\n'


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_the_type_of_an_error_follows_its_status(status: int, kind: str) -> None:
    assert type_of(status) == kind
