"""Requests for embeddings and completions: what is read, and what is refused by name."""

import json
import tracemalloc
from typing import Any

import pytest

from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.core.policy import NEW_LIMIT
from exo_supervisor.wire.bounds import MAX_CHOICES
from exo_supervisor.wire.chat.request import Ask, ChatRequest
from exo_supervisor.wire.openai.inputs import MAX_INPUTS
from exo_supervisor.wire.table import DIALECTS, OPERATIONS

Json = dict[str, Any]
OPENAI = DIALECTS["openai"]


def read(kind: str, **fields: Any) -> ChatRequest:  # noqa: ANN401 - any JSON
    return OPERATIONS[f"/v1/{kind}"].read(json.dumps({"model": "m"} | fields).encode(), {})


@pytest.mark.parametrize(
    ("given", "count"), [("a", 1), (["a"], 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1], [2, 3]], 2)]
)
def test_texts_and_tokens_are_counted(given: object, count: int) -> None:
    asked = read("embeddings", input=given)
    assert (asked.kind, asked.n, asked.stream) == ("embeddings", count, False)
    assert asked.demands == asked.native_demands == {"embeddings"}
    assert json.loads(bytes(asked.prompt)) == given
    completing = read("completions", prompt=given, n=2, stream=True, max_tokens=0, stop="x")
    assert (completing.kind, completing.n) == ("completions", 2 * count)
    assert (completing.stream, completing.max_tokens, completing.stop) == (True, 0, ("x",))
    assert completing.native_demands == {"completions"}


@pytest.mark.parametrize(
    ("kind", "fields", "code", "param"),
    [
        ("embeddings", {}, "missing_field", "input"),
        ("completions", {}, "missing_field", "prompt"),
        ("embeddings", {"input": "a", "model": None}, "missing_field", "model"),
        ("embeddings", {"input": []}, "wrong_type", "input"),
        ("embeddings", {"input": ["a", 1]}, "wrong_type", "input"),
        ("embeddings", {"input": {"text": "secret"}}, "wrong_type", "input"),
        ("embeddings", {"input": [-1]}, "wrong_type", "input"),
        ("embeddings", {"input": ["a"] * (MAX_INPUTS + 1)}, "wrong_type", "input"),
        ("embeddings", {"input": "a", "dimensions": 0}, "wrong_type", "dimensions"),
        (
            "embeddings",
            {"input": "a", "encoding_format": "secret"},
            "wrong_type",
            "encoding_format",
        ),
        ("completions", {"prompt": ["a"] * 65, "n": 2}, "wrong_type", "prompt"),
        ("completions", {"prompt": "a", "n": MAX_CHOICES + 1}, "wrong_type", "n"),
        ("completions", {"prompt": "a", "max_tokens": -1}, "wrong_type", "max_tokens"),
        ("completions", {"prompt": "a", "stop": 7}, "wrong_type", "stop"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_echoed(
    kind: str, fields: Json, code: str, param: str
) -> None:
    with pytest.raises(BadRequestError) as caught:
        read(kind, **fields)
    assert (caught.value.refusal.code, caught.value.refusal.param) == (code, param)
    assert "secret" not in caught.value.refusal.message


def test_a_long_list_of_stops_is_refused_before_it_is_decoded() -> None:
    body = json.dumps({"model": "m", "prompt": "a", "stop": ["x"] * 60_000}).encode()
    tracemalloc.start()
    with pytest.raises(BadRequestError) as caught:
        OPERATIONS["/v1/completions"].read(body, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (caught.value.refusal.param, peak < 1_000_000) == ("stop", True)


def test_each_goes_to_its_own_place_with_its_fields_as_they_came() -> None:
    asked = read("embeddings", input="a", dimensions=4, user="u", stream=True)
    assert OPENAI.url("http://p/v1", asked.kind) == "http://p/v1/embeddings"
    sent = json.loads(OPENAI.encode(asked, Ask("theirs")))
    assert sent == {"model": "theirs", "input": "a", "dimensions": 4, "user": "u", "stream": True}
    without = frozenset({NEW_LIMIT})  # which is of chats alone
    short = json.loads(
        OPENAI.encode(read("completions", prompt="a", max_tokens=3), Ask("t", without=without))
    )
    assert short["max_tokens"] == 3
    completing = read("completions", prompt="a", suffix="z", echo=True)
    assert OPENAI.url("http://p/v1", completing.kind) == "http://p/v1/completions"
    sent = json.loads(OPENAI.encode(completing, Ask("theirs")))
    assert sent == {
        "model": "theirs",
        "prompt": "a",
        "suffix": "z",
        "echo": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
