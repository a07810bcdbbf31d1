"""What would end an Exo is found before any Exo is asked; what only looks like it passes."""

import json
from typing import Any

import pytest
from msgspec import Raw

from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.wire.chat.request import Ask
from exo_supervisor.wire.exo.hazards import (
    INT_MAX,
    INT_MIN,
    TOP_K_MAX,
    harmful_samplers,
    read_hazards,
)
from exo_supervisor.wire.exo.identity import encode_chat
from exo_supervisor.wire.exo.traits import PEERS, TRAITS
from exo_supervisor.wire.openai.inbound import read_chat

USER = {"role": "user", "content": "hi"}
CALLS: list[Any] = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
WIDE = 2**70


def hazards(*messages: Any, **fields: Any) -> dict[str, str]:  # noqa: ANN401 - any JSON
    return dict(read_chat(body(*messages, **fields)).hazards)


def body(*messages: Any, **fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps({"model": "m", "messages": messages or [USER], **fields}).encode()


def sent(generation: Any, *messages: Any, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return json.loads(
        encode_chat(read_chat(body(*messages, **fields)), Ask("x", TRAITS[generation]))
    )


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"seed": WIDE}, {"seed": "too_wide"}),
        ({"seed": str(WIDE)}, {"seed": "too_wide"}),
        ({"seed": 1e30}, {"seed": "too_wide"}),
        ({"max_tokens": WIDE}, {"max_tokens": "too_wide"}),
        ({"n": WIDE}, {"n": "too_wide"}),
        ({"unknown": [{"deep": [-WIDE]}]}, {"unknown": "too_wide"}),
        ({"min_p": 2.0}, {"min_p": "outside_0_1"}),
        ({"min_p": -0.1}, {"min_p": "outside_0_1"}),
        ({"min_p": "2"}, {"min_p": "outside_0_1"}),
        # what Exo does without is left out for it
        ({"seed": -1}, {}),
        ({"seed": -WIDE}, {}),
        ({"top_k": 10_000_000}, {}),
        ({"top_k": WIDE}, {}),
        # what it survives
        ({"seed": 2**64 - 1}, {}),
        ({"seed": None, "top_k": None, "min_p": None}, {}),
        ({"seed": "no number", "min_p": [], "top_k": True}, {}),
        ({"top_k": -5, "top_p": 2, "temperature": -1, "min_p": 1}, {}),
        ({"user": "12345678901234567890123456789"}, {}),
        ({"temperature": 0.1234567890123456789012345}, {}),
    ],
)
def test_fields_that_end_an_exo(fields: dict[str, Any], found: dict[str, str]) -> None:
    assert hazards(**fields) == found


SPEAKERS: list[tuple[list[Any], bool]] = [
    ([{"role": "user", "content": None}], True),
    ([{"role": "user"}], True),
    ([{"role": "assistant", "content": "I"}], True),
    ([{"role": "assistant", "content": "I"}, {"role": "user"}], True),
    ([{"role": "system", "content": "s"}], False),
    ([{"role": "user", "content": []}], False),
    ([{"role": "user", "content": ""}], False),
    ([USER, {"role": "assistant", "content": None, "tool_calls": CALLS}], False),
    ([USER, {"role": "tool", "content": None, "tool_call_id": "c"}], False),
]


@pytest.mark.parametrize(("messages", "ends"), SPEAKERS)
def test_a_request_in_which_only_the_assistant_speaks_ends_an_exo(
    messages: list[Any], *, ends: bool
) -> None:
    assert hazards(*messages) == ({"messages": "no_content"} if ends else {})


def test_an_escaped_role_is_the_same_role() -> None:
    data = body({"role": "assistant", "content": "I"}).replace(b"assistant", rb"assist\u0061nt")
    assert read_chat(data).hazards == {"messages": "no_content"}


def test_a_number_that_cannot_be_looked_through_is_not_vouched_for() -> None:
    deep = b'{"model":"m","messages":[{"role":"user","content":"x"}],"z":[%b]}' % b"9" * 1
    digits = b"9" * 5000
    assert read_chat(deep.replace(b"9", digits)).hazards == {"z": "too_wide"}
    nested = b"[" * 900 + b"1" * 19 + b"]" * 900
    assert read_chat(deep.replace(b"[9]", nested)).hazards in ({}, {"z": "too_wide"})


def test_what_exo_does_without_is_left_out_for_it_alone() -> None:
    for generation in ("B", "C"):
        assert "seed" not in sent(generation, seed=-1)
        assert "top_k" not in sent(generation, top_k=10_001)
        assert sent(generation, seed=7, top_k=10_000) == {
            "model": "x", "messages": [USER], "stream": True, "seed": 7, "top_k": 10_000,
        }  # fmt: skip


def test_generation_a_gets_an_empty_content_where_there_is_none() -> None:
    """It answers 500 to a message without, and two such requests would open its breaker."""
    calls = {"role": "assistant", "content": None, "tool_calls": CALLS}
    told = sent("A", USER, calls, {"role": "assistant"})["messages"]
    assert told == [USER, calls | {"content": ""}, {"role": "assistant", "content": ""}]
    assert sent("C", USER, calls)["messages"] == [USER, calls]
    assert PEERS["A"].dies_of == frozenset() < PEERS["B"].dies_of == PEERS["C"].dies_of


def test_no_token_at_all_is_a_wrong_request() -> None:
    """Exo takes 0 for no limit, and would answer with 32168 of them."""
    for name in ("max_tokens", "max_completion_tokens"):
        with pytest.raises(BadRequestError) as caught:
            read_chat(body(**{name: 0}))
        refusal = caught.value.refusal
        assert (refusal.code, refusal.param) == ("wrong_type", "max_tokens")


def test_no_seed_but_a_negative_one_does_harm() -> None:
    for seed, found in ((b"0", []), (b"-1", ["seed"]), (b"1", [])):
        assert harmful_samplers({"seed": Raw(seed)}) == found
    for top_k, found in ((TOP_K_MAX, []), (TOP_K_MAX + 1, ["top_k"])):
        assert harmful_samplers({"top_k": Raw(b"%d" % top_k)}) == found


@pytest.mark.parametrize("number", [0, INT_MIN, INT_MIN - 1, INT_MAX, INT_MAX + 1, 10**24])
def test_a_wide_integer_is_found_wherever_it_stands(number: int) -> None:
    for before in range(8):  # every fourth byte is looked at: it may begin at, or behind, any
        deep = b"[%b%d]" % (b" " * before, number)
        body = b'{"z":"%b","deep":%b,"y":"111111111"}' % (b"x" * (before // 2), deep)
        found = read_hazards(body, {"deep": Raw(deep)}, [True])
        assert found == ({} if INT_MIN <= number <= INT_MAX else {"deep": "too_wide"})
