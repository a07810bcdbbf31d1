"""A path means the same however a client writes its URL."""

import pytest

from exo_supervisor.http.head import Head
from exo_supervisor.serve.target import is_dispatch, path_of, split_target

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/chat/completions",
        b"/v1/chat/completions?a=b",
        b"/v1/chat/completions?a=//b",
        b"/v1/chat/completions#part",
        b"//v1/chat//completions",
        b"/v1/%63hat/completions",
        b"http://host/v1/chat/completions",
        b"http://host:80//v1/chat/completions?a",
    ],
)
def test_a_chat_is_known_however_it_is_written(target: bytes) -> None:
    assert path_of(target) == CHAT
    for method, dispatched in ((b"POST", True), (b"GET", False), (b"post", False)):
        head = Head(method, target, {}, (), is_old=False)
        assert is_dispatch(head, frozenset({CHAT})) is dispatched


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/v1/chat/completions/", CHAT + "/"),
        (b"/v1/chat", "/v1/chat"),
        (b"/ollama/api/chat", "/api/chat"),
        (b"//ollama//api/chat?x", "/api/chat"),
        (b"/ollama/%61pi/chat", "/api/chat"),
        (b"/ollama", "/ollama"),
        (b"/ollama/v1/models", "/ollama/v1/models"),
        (b"/ollama/apix", "/ollama/apix"),
        (b"/v1/messages?beta=true", "/v1/messages"),
        (b"*", "*"),
        (b"http://[bad", ""),
        (b"http://host", "/"),
        (b"/", "/"),
        (b"//", "/"),
    ],
)
def test_what_is_no_chat_is_none(target: bytes, path: str) -> None:
    assert path_of(target) == path
    assert not is_dispatch(Head(b"POST", target, {}, (), is_old=False), frozenset({CHAT}))


def test_path_and_query_stay_as_they_were_sent() -> None:
    assert split_target(b"/t/a%20b/v1?c=%20d?e") == ("/t/a%20b/v1", "c=%20d?e")
    assert split_target(b"http://h/a?b") == ("/a", "b")
    assert split_target(b"/\xff") == ("/\udcff", "")
