"""Whatever answers on the socket, a verb ends with a clear error and no traceback."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.cli import tables
from exo_supervisor.cli.nodes import nodes
from exo_supervisor.client.json_object import fields
from tests.cli.conftest import Answerer, Handler, Service, delta, streamed, whole

pytestmark = [pytest.mark.real_time, pytest.mark.alone]
Out = pytest.CaptureFixture[str]

VERBS = {
    "status": "/supervisor/status",
    "nodes": "/supervisor/nodes",
    "models": "/supervisor/models",
    "breaker": "/supervisor/breakers",
}
KEYS = [
    *("version", "uptime", "ready", "advice", "looked", "nodes", "providers", "requests"),
    *("not_yet", "models", "id", "rung", "since", "why", "where", "breaker", "breakers"),
    *("capacity", "memory_total", "memory_available", "gpu", "temperature", "chip"),
    *("state", "until", "forced", "progress", "seen", "name", "now", "total"),
    *("was", "down", "held", "last_failed", "at", "alias_of", "target", "model"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


def bytes_of(raw: bytes) -> Answerer:
    def answer(handler: Handler) -> None:
        handler.wfile.write(raw)

    return answer


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (whole(b"<html>"), 1, "what answers on this socket is not exo-supervisor"),
        (whole(b"[1]"), 1, "what answers on this socket is not exo-supervisor"),
        (whole(b"\xff\x00"), 1, "what answers on this socket is not exo-supervisor"),
        (whole(b"[" * 200_000), 1, "what answers on this socket is not exo-supervisor"),
        (whole(b"oops", 500), 1, "the service answered with HTTP status 500, and no reason"),
        (whole({"error": {"message": "bug 7"}}, 500), 1, "bug 7"),
        (whole({"error": {"message": 7}}, 500), 1, "the service answered with HTTP status 500"),
        (whole(b"", 301), 1, "the service answered with HTTP status 301"),
        (whole(b"{}", headers={"content-length": "9"}), 1, "the service's answer broke off"),
        (bytes_of(b""), 69, "the service did not answer"),
        (bytes_of(b"SSH-2.0-x\r\n"), 69, "the service did not answer"),
        (bytes_of(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500), 69, "the service did not answer"),
        (bytes_of(b"HTTP/1.1 200 OK\r\na: " + b"b" * 99999), 69, "the service did not answer"),
    ],
)
def test_an_answer_that_makes_no_sense_is_a_clear_error(
    service: Service, capsys: Out, verb: str, answer: Answerer, code: int, message: str
) -> None:
    service.on(f"GET {VERBS[verb]}", answer)
    assert service.main(verb) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {message}")


@pytest.mark.parametrize("verb", VERBS)
def test_an_empty_object_is_shown_as_nothing_known(
    service: Service, capsys: Out, verb: str
) -> None:
    service.says(f"GET {VERBS[verb]}", {})
    service.says("GET /supervisor/nodes", {})
    assert service.main(verb) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


@given(JSON)
def test_any_json_can_be_laid_out(value: object) -> None:
    """No shape of a body, however odd, breaks a table."""
    body = fields(value)
    out = io.StringIO()
    for text in (
        tables.status(body, 0.0, out),
        nodes(body, 0.0, out),
        tables.models(body, out),
        tables.breakers(body, 0.0, out),
    ):
        assert "\x1b" not in text


def test_control_characters_in_names_do_not_reach_a_table(service: Service, capsys: Out) -> None:
    model = {"id": "a\x1b]0;x\x07\nb\x9b2J\u202e", "state": "ready\r", "where": [{"why": "\x08"}]}
    service.says("GET /supervisor/models", {"models": [model]})
    assert service.main("models") == 0
    assert capsys.readouterr().out == (
        "ID         STATE  TARGET  READY\na]0;x b2J  ready  -       no\n"
    )


def test_control_characters_in_an_error_do_not_reach_the_terminal(
    service: Service, capsys: Out
) -> None:
    error = {"error": {"message": "bad\x1b[2J", "code": "x\x1b"}}
    service.on("GET /supervisor/status", whole(error, 500))
    assert service.main("status") == 1
    assert capsys.readouterr().err == "error: bad[2J\n  why: x, HTTP status 500\n"


@pytest.mark.parametrize(
    "event",
    [
        "data: no json\n\n",
        "data: [[[[\n\n",
        "data: [1, 2]\n\n",
        'data: {"choices": 7}\n\n',
        'data: {"choices": [{"delta": [1]}]}\n\n',
        'data: {"choices": [{"delta": {"content": {"a": 1}}}], "usage": []}\n\n',
        "event: x\nid: 1\nretry\n\n",
        ": supervisor {broken\n\n",
        ": supervisor [1]\n\n",
        "data: \udcff\udcfe\n\n",
    ],
)
def test_an_event_that_makes_no_sense_is_passed_over(
    service: Service, capsys: Out, event: str
) -> None:
    service.on("POST /v1/chat/completions", streamed(delta("a"), event, delta("b")))
    assert service.main("chat", "--model", "m", "hello") == 0
    assert capsys.readouterr().out == "ab\n"


def test_a_line_without_end_is_given_up(service: Service, capsys: Out) -> None:
    def endless(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\ndata: ")
        try:
            for _ in range(20):
                handler.wfile.write(b"x" * 1024 * 1024)
        except OSError:
            pass

    service.on("POST /v1/chat/completions", endless)
    assert service.main("chat", "--model", "m", "hello") == 1
    assert capsys.readouterr().err.startswith("error: a line of the answer is too long")
