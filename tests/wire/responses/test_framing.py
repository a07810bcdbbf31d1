"""What is no part of an answer is told in numbered events, of which the first open the stream."""

import json
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from exo_supervisor.wire.dialect import Told
from exo_supervisor.wire.responses.framing import FRAMING, event
from tests.wire.requests import a_chat, a_reply

TOLD = Told(502, "attempts_failed", "it broke off")


def events(stream: bytes) -> list[dict[str, Any]]:
    """Decode events, each of which is named twice alike."""
    found: list[dict[str, Any]] = []
    for one in stream.decode().removesuffix("\n\n").split("\n\n"):
        name, data = one.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def told(stream: bytes) -> list[tuple[int, str]]:
    return [(one["sequence_number"], one["type"]) for one in events(stream)]


def test_the_first_keepalive_opens_the_stream_and_the_next_are_in_progress() -> None:
    reply = a_reply()
    assert told(FRAMING.keepalive(reply) + FRAMING.keepalive(reply)) == [
        (0, "response.created"),
        (1, "response.in_progress"),
        (2, "response.in_progress"),
    ]


def test_an_attempt_after_a_keepalive_counts_on() -> None:
    """Its reply is another, its client is the same."""
    reply = a_reply()
    FRAMING.keepalive(reply)
    assert told(event(replace(reply, model="other"), "response.output_text.delta", delta="x")) == [
        (2, "response.output_text.delta")
    ]


def test_a_stream_that_breaks_off_says_that_it_failed() -> None:
    reply = a_reply()
    FRAMING.keepalive(reply)
    [failed] = events(FRAMING.error_event(TOLD, reply))
    assert (failed["sequence_number"], failed["type"]) == (2, "response.failed")
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "attempts_failed", "message": "it broke off"}


def test_a_stream_that_fails_before_it_was_opened_is_opened_first() -> None:
    assert told(FRAMING.error_event(TOLD, a_reply())) == [
        (0, "response.created"),
        (1, "response.in_progress"),
        (2, "response.failed"),
    ]


def test_a_response_repeats_what_was_asked_of_it_and_is_never_stored() -> None:
    native = {"instructions": Raw(b'"be brief"'), "tools": Raw(b'[{"type":"custom"}]')}
    reply = a_reply(replace(a_chat(), dialect="responses", native=native))
    created, _ = events(FRAMING.keepalive(reply))
    response = created["response"]
    assert (response["id"], response["object"]) == ("resp_req-1", "response")
    assert (response["instructions"], response["tools"]) == ("be brief", [{"type": "custom"}])
    assert (response["tool_choice"], response["store"]) == ("auto", False)
    assert (response["status"], response["output"], response["usage"]) == ("in_progress", [], None)


def test_an_error_before_the_stream_is_openais() -> None:
    assert json.loads(FRAMING.error_body(TOLD))["error"]["code"] == "attempts_failed"
    assert FRAMING.served(b"{}", a_reply()) == b": supervisor {}\n\n"
