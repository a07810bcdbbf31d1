"""A streamed answer is read line by line, and nothing in it, however odd, breaks the reader."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.client import chat as module
from exo_supervisor.client.chat import Chat
from exo_supervisor.client.errors import CutError

SAYS = {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}
DONE = b"data: [DONE]\n\n"


def event(body: object) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def read(*parts: bytes) -> Chat:
    chat = Chat()
    for part in parts:
        assert all(chat.feed(part))
    return chat


@given(st.integers(0, 200))
def test_a_stream_is_the_same_at_every_cut(cut: int) -> None:
    raw = (
        b': supervisor {"target": "n:1"}\r\n\r\n'
        + event(SAYS)
        + event({"usage": {"completion_tokens": 3}})
        + DONE
    )
    chat = read(raw[:cut], raw[cut:])
    assert (chat.pieces, chat.finish, chat.tokens, chat.done) == (["x"], "stop", 3, True)
    assert chat.served == {"target": "n:1"}


@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"", b"data: {}", b"data: [DONE]"])))
def test_any_lines_end_in_a_verdict(lines: list[bytes]) -> None:
    chat = read(b"\n".join(lines))
    assert all(chat.close())


def test_an_event_over_several_lines_is_one_event() -> None:
    lines = [b"data: " + line for line in json.dumps(SAYS, indent=0).encode().split(b"\n")]
    chat = read(b"\n".join([*lines, b"", b"data:[DONE]", b"", b""]))
    assert (chat.pieces, chat.done) == (["x"], True)


def test_nothing_is_read_behind_the_last_word() -> None:
    assert read(DONE + event(SAYS)).pieces == []


def test_an_error_is_the_last_word() -> None:
    chat = read(event(SAYS) + event({"error": {"message": "no", "code": "deadline"}}) + DONE)
    assert (chat.over, chat.done, chat.error) == (True, False, "no")
    assert chat.refused is not None
    assert chat.refused.code == "deadline"


def test_an_error_without_words_is_one_all_the_same() -> None:
    assert read(event({"error": "?"})).error == "it sent an error"


def test_an_event_without_its_end_is_content_but_no_last_word() -> None:
    chat = read(event(SAYS).rstrip())
    assert list(chat.close()) == ["x"]
    assert not chat.done


def test_a_text_that_does_not_end_its_line_is_known() -> None:
    chat = Chat()
    assert not chat.open_line
    list(chat.feed(event(SAYS)))
    assert chat.open_line


def test_a_line_without_end_is_given_up() -> None:
    chat = Chat()
    with pytest.raises(CutError, match="a line of the answer is too long"):
        list(chat.feed(b"data: " + b"x" * module.MAX_LINE_BYTES))
