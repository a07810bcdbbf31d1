"""What clients of the dialect send and get."""

import contextlib
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.outcomes import BadRequestError, Refusal
from exo_supervisor.wire.exo.traits import PEERS
from exo_supervisor.wire.openai.inbound import read_chat

ASK = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}

TOOLS = [{"type": "function"}]


def ask(**more: object) -> bytes:
    return json.dumps(ASK | more).encode()


def refusal(body: bytes) -> Refusal:
    with pytest.raises(BadRequestError) as caught:
        read_chat(body)
    return caught.value.refusal


def test_a_plain_request_is_read() -> None:
    request = read_chat(ask())
    assert (request.model, request.stream, request.include_usage) == ("m", False, False)
    assert (request.demands, request.max_tokens, request.stop) == (frozenset(), None, ())
    assert bytes(request.fields["messages"]) == json.dumps(ASK["messages"]).encode()


def test_what_concerns_us_is_read() -> None:
    body = ask(
        stream=True, stream_options={"include_usage": True, "x": 1}, max_tokens=5, stop=["a", ""]
    )
    request = read_chat(body)
    assert (request.stream, request.include_usage) == (True, True)
    assert (request.max_tokens, request.stop) == (5, ("a",))
    assert read_chat(ask(stop="a")).stop == ("a",)
    assert read_chat(ask(max_tokens=5, max_completion_tokens=7)).max_tokens == 7


@pytest.mark.parametrize(
    "role", ["assistant", r"\u0061ssistant", r"\u0061" + "ssistan" + r"\u0074"]
)
def test_an_assistant_is_known_however_its_letters_are_written(role: str) -> None:
    body = '{"model":"m","messages":[{"role":"%s","content":"x"}]}'
    assert read_chat((body % role).encode()).hazards == {"messages": "no_content"}
    for other in ("user", r"\n", r"\u0061", role + "s", "a" * 80):
        assert read_chat((body % other).encode()).hazards == {}


def test_nulls_are_as_good_as_absent() -> None:
    body = ask(stream=None, stream_options=None, max_tokens=None, stop=None, n=None, tools=None)
    assert read_chat(body).demands == frozenset()


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "bad_json", None),
        (b"{", "bad_json", None),
        (b"\xff", "bad_json", None),
        (b'{"model":"m","messages":[{"content":"\xff"}]}', "bad_json", None),
        (b'{"x\xff":1,"model":"m","messages":[{}]}', "bad_json", None),
        (b'{"model":"m","messages":[{}]} x', "bad_json", None),
        (b'{"model":"m","messages":[{"content":"\\ud800"}]}', "bad_json", None),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad_json", None),
        (b"[" * 100_000, "bad_json", None),
        (b"[]", "bad_json", None),
        (b'"text"', "bad_json", None),
        (b"null", "bad_json", None),
        (b"{}", "missing_field", "model"),
        (b'{"model":"m"}', "missing_field", "messages"),
        (b'{"messages":[{}]}', "missing_field", "model"),
        (ask(model=""), "wrong_type", "model"),
        (ask(model=5), "wrong_type", "model"),
        (ask(messages="secret"), "wrong_type", "messages"),
        (ask(messages={}), "wrong_type", "messages"),
        (ask(messages=["secret"]), "wrong_type", "messages"),
        (ask(messages=[]), "empty_messages", "messages"),
        (ask(stream="secret"), "wrong_type", "stream"),
        (ask(stream_options=[]), "wrong_type", "stream_options"),
        (ask(stream_options={"include_usage": "secret"}), "wrong_type", "stream_options"),
        (ask(max_tokens="5"), "wrong_type", "max_tokens"),
        (ask(max_tokens=True), "wrong_type", "max_tokens"),
        (ask(max_completion_tokens=1.5), "wrong_type", "max_completion_tokens"),
        (ask(stop=[5]), "wrong_type", "stop"),
        (ask(stop=["secret"] * 65), "wrong_type", "stop"),
        (ask(stop="x" * 4097), "wrong_type", "stop"),
        (ask(stop=["x" * 2048, "x" * 2049]), "wrong_type", "stop"),
        (ask(stop=["x"] * 20_000), "wrong_type", "stop"),
        (ask(n="secret"), "wrong_type", "n"),
        (ask()[:-1] + b',"logit_bias":{"1":1e999}}', "wrong_type", "logit_bias"),
    ],
)
def test_a_bad_request_is_named_without_its_values(
    body: bytes, code: str, param: str | None
) -> None:
    error = refusal(body)
    assert (error.code, error.param, error.status) == (code, param, 400)
    assert "secret" not in error.message


def test_the_message_names_the_place() -> None:
    error = refusal(ask(messages=[ASK, 5]))
    reason = "has the wrong type: expected `object`, got `int`"
    assert error.message == f"the field messages[1] {reason}"
    assert refusal(b'{"model": nope}').message == "the body is not valid JSON (byte 11)"


def test_as_many_stops_are_read_as_can_be_looked_for() -> None:
    stops = ("\U0001f600" * 64,) * 64
    assert read_chat(ask(stop=stops)).stop == stops
    error = refusal(ask(stop=["x"] * 65))
    assert error.message == "the field stop holds more than 64 texts of 4096 characters in all"


def test_a_long_list_of_stops_is_refused_before_it_is_decoded() -> None:
    body = ask(stop=["x"] * 60_000)
    tracemalloc.start()
    error = refusal(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (error.param, peak < 1_000_000) == ("stop", True)


def test_a_long_value_is_a_demand_without_being_decoded() -> None:
    body = ask(tools=[dict[str, str]()] * 60_000, logit_bias={"1": 2})
    tracemalloc.start()
    demands = read_chat(body).demands
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (demands, peak < 1_000_000) == ({"tools", "logit_bias"}, True)


def test_the_number_of_choices_is_read() -> None:
    assert [read_chat(ask(**more)).n for more in ({}, {"n": None}, {"n": 3})] == [None, None, 3]


@pytest.mark.parametrize(
    ("more", "demands"),
    [
        ({"n": 1}, set[str]()),
        ({"n": 2}, {"n"}),
        ({"response_format": {"type": "text"}}, set[str]()),
        (
            {"response_format": {"type": "json_object"}},
            {"response_format", "response_format=json_object"},
        ),
        ({"response_format": {"type": "json_schema"}}, {"response_format"}),
        ({"logit_bias": dict[str, int]()}, set[str]()),
        ({"logit_bias": {"50256": -100}}, {"logit_bias"}),
        ({"logprobs": True}, {"logprobs"}),
        ({"tool_choice": "required"}, {"tool_choice"}),
        ({"tools": [], "parallel_tool_calls": False}, set[str]()),
        ({"tools": TOOLS, "tool_choice": "auto"}, {"tools"}),
        ({"tools": TOOLS, "tool_choice": "none"}, set[str]()),
        ({"tools": TOOLS, "tool_choice": "required"}, {"tools", "tool_choice"}),
        ({"tools": TOOLS, "parallel_tool_calls": False}, {"tools", "parallel_tool_calls"}),
        ({"temperature": 0, "seed": 1, "user": "me"}, set[str]()),
        ({"functions": TOOLS}, {"functions"}),
    ],
)
def test_demands_are_fields_that_some_target_ignores(
    more: dict[str, object], demands: set[str]
) -> None:
    read = read_chat(ask(**more)).demands
    assert read == demands
    assert read <= PEERS["A"].ignored | {"response_format=json_object"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELD = st.sampled_from(
    ("model", "messages", "stream", "stream_options", "max_tokens", "stop", "n", "tools")
)


@given(fields=st.dictionaries(FIELD, JSON))
def test_no_field_of_any_type_raises_anything_else(fields: dict[str, object]) -> None:
    body = json.dumps(ASK | fields).encode()
    with contextlib.suppress(BadRequestError):
        assert set(read_chat(body).fields) == set(ASK | fields)


@given(body=st.binary())
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    assert refusal(body).code in {"bad_json", "missing_field"}


@given(place=st.integers(0, 200), byte=st.integers(0, 255))
def test_no_damaged_request_raises_anything_else(place: int, byte: int) -> None:
    body = bytearray(ask(stream=True, stop=["é"], tools=TOOLS, n=1))
    body[place % len(body)] = byte
    with contextlib.suppress(BadRequestError):
        assert read_chat(bytes(body)).model
