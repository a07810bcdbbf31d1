"""An answer that is one text takes a short way, on which nothing may be told otherwise."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.continuation import Splice
from exo_supervisor.wire.exo.traits import PROVIDER
from exo_supervisor.wire.openai.answer_writer import AnswerWriter
from exo_supervisor.wire.openai.body_reader import BodyReader
from exo_supervisor.wire.openai.completions import TextWriter
from tests.wire.reading import body_gathered, body_streamed, read_body

USAGE = {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}
MESSAGE = {"role": "assistant", "content": "Hello!\n\u00e9", "refusal": None}
NOTHING: dict[str, Any] = {
    "annotations": None, "audio": None, "function_call": None, "tool_calls": [],
    "reasoning_content": None, "reasoning": None,
}  # fmt: skip
"""What vLLM has in a message that is one text."""
CHOICE = {"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "stop"}
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m-2025",
    "choices": [CHOICE | {"message": MESSAGE | {"annotations": []}}],
    "usage": USAGE | {"prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 0}},
    "service_tier": "default", "system_fingerprint": "fp",
}  # fmt: skip


class InFull(AnswerWriter):
    """Takes no short way."""

    def take_text(self, text: bytes, finish: str, size: int, /) -> bool:  # noqa: ARG002
        return False


class Counting(AnswerWriter):
    """Counts how often the short way was taken."""

    short = 0

    def take_text(self, text: bytes, finish: str, size: int, /) -> bool:
        took = super().take_text(text, finish, size)
        self.short += took
        return took


def read(body: bytes, writer: AnswerWriter, choices: int = 1) -> tuple[object, ...]:
    """Read a body; return all that anybody can know of it."""
    reading = BodyReader(writer=writer, traits=PROVIDER, asked="m", choices=choices)
    reading.feed(body)
    told = reading.close()
    whole = b"".join(reading.result()) if reading.fault is None else b""
    return (
        told, whole, reading.fault, reading.message, reading.content, reading.tokens, reading.usage,
        reading.usage_text, reading.served_model, reading.progressed, reading.finished,
        reading.done, reading.held, writer.held, reading.malformed,
    )  # fmt: skip


def counted(body: bytes, choices: int = 1) -> int:
    writer = Counting(id="ours", created=7)
    assert read(body, writer, choices) == read(body, InFull(id="ours", created=7), choices)
    return writer.short


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER,
        {"choices": [CHOICE], "usage": USAGE, "object": "chat.completion", "model": "demo"},
        {"choices": [CHOICE | {"finish_reason": "length"}]},
        {"choices": [{"message": {"content": "\U0001f600"}, "finish_reason": "stop"}]},
        ANSWER | {"choices": [CHOICE | {"message": MESSAGE | NOTHING, "stop_reason": None}]},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_usual_answers_take_it(answer: dict[str, Any], indent: int | None) -> None:
    for ascii_only in (True, False):
        assert counted(json.dumps(answer, indent=indent, ensure_ascii=ascii_only).encode()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"index": 1},
        {"finish_reason": "tool_calls"},
        {"finish_reason": "error"},
        {"finish_reason": None},
        {"logprobs": {"content": []}},
        {"native_finish_reason": "error"},
        {"message": None},
        {"message": {"role": "assistant", "content": ""}},
        {"message": {"role": "assistant", "content": None, "refusal": "no"}},
        {"message": {"role": "assistant", "content": "a", "refusal": ""}},
        {"message": {"role": "assistant", "content": "a", "reasoning": "b"}},
        {"message": {"role": "assistant", "content": ["a"]}},
        {"message": {"role": "assistant", "content": "a", "reasoning_content": "b"}},
        {"message": {"role": "assistant", "content": "a", "annotations": [{"type": "x"}]}},
        {"message": {"role": "assistant", "content": "a", "tool_calls": [{"id": "x"}]}},
        {"message": {"role": "assistant", "content": "a", "unknown": "b"}},
    ],
)
def test_all_else_is_read_in_full(change: dict[str, object]) -> None:
    assert counted(json.dumps(ANSWER | {"choices": [CHOICE | change]}).encode()) == 0


def test_several_choices_and_what_is_adapted_are_read_in_full() -> None:
    body = json.dumps(ANSWER).encode()
    assert counted(body, choices=2) == 0
    assert counted(json.dumps(ANSWER | {"choices": [CHOICE, CHOICE | {"index": 1}]}).encode()) == 0
    small = Counting(id="ours", created=7, most_bytes=len(body) + 511)
    assert read(body, small) == read(body, InFull(id="ours", created=7, most_bytes=len(body) + 511))
    assert small.short == 0
    seam, writer = Splice("said before"), Counting(id="ours", created=7)
    joined = BodyReader(writer=writer, traits=PROVIDER, seam=seam)
    joined.feed(body)
    joined.close()
    assert (joined.fault, joined.tokens, writer.short) == (None, 1, 0)
    stream = body_streamed()
    assert b'"annotations":[]' in read_body(body, stream)


ODD: list[object] = [
    None, "", "a", "\n\u00e9\\", "\ud800", 0, 1, -1, 2**70, True, [], {}, ["a"], [{}], {"a": 1},
    "stop", "length", "error", "assistant", float("-inf"), 0.5,
]  # fmt: skip
VALUE = st.sampled_from(ODD)
MESSAGES = st.dictionaries(
    st.sampled_from(["role", "content", "refusal", "annotations", "tool_calls", "reasoning",
                     "reasoning_content", "function_call", "audio", "name", "reasoning_details",
                     "x", "\ud800"]),
    VALUE,
)  # fmt: skip
CHOICES = st.dictionaries(
    st.sampled_from(["index", "logprobs", "finish_reason", "native_finish_reason", "message"]),
    VALUE | MESSAGES,
)
AROUND = st.dictionaries(
    st.sampled_from(["model", "usage", "error", "citations", "supervisor", "choices", "id"]),
    VALUE | st.just(USAGE),
)


@given(
    message=MESSAGES,
    change=CHOICES,
    around=AROUND,
    second=st.none() | CHOICES,
    choices=st.integers(1, 2),
    indent=st.sampled_from([None, 1]),
)
def test_no_answer_is_told_otherwise_on_the_short_way(
    *,
    message: dict[str, object],
    change: dict[str, object],
    around: dict[str, object],
    second: dict[str, object] | None,
    choices: int,
    indent: int | None,
) -> None:
    first = CHOICE | {"message": MESSAGE | message} | change
    listed = [first] if second is None else [first, CHOICE | second]
    body = json.dumps({"choices": listed, "model": "m"} | around, indent=indent).encode()
    counted(body, choices)


@given(place=st.integers(0, 1000), byte=st.integers(0, 255))
def test_no_damaged_answer_is_told_otherwise(place: int, byte: int) -> None:
    body = bytearray(json.dumps(ANSWER).encode())
    body[place % len(body)] = byte
    counted(bytes(body))


def test_a_text_beside_which_too_much_is_told_is_no_success_on_the_short_way() -> None:
    many = {f"x{number}": 1 for number in range(257)}
    writer = Counting(id="ours", created=7)
    body = json.dumps(ANSWER | many).encode()
    told = read(body, writer)
    assert (told[2], told[4], writer.short) == (Fault.OVERSIZED, False, 1)


def test_content_that_is_an_empty_list_is_none() -> None:
    message: dict[str, object] = {"content": [], "refusal": "no"}
    body = json.dumps({"choices": [CHOICE | {"message": message}]}).encode()
    reading = body_gathered()
    read_body(body, reading)
    assert b'"content":null' in b"".join(reading.result())


def test_texts_of_a_completion_are_taken_as_pieces() -> None:
    assert not TextWriter(id="ours", created=7).take_text(b'"a"', "stop", 1)
