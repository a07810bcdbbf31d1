"""What providers are asked, and how they list their models."""

import json

import pytest

from exo_supervisor.core.fleet.model_facts import NO_FACTS
from exo_supervisor.core.policy import NEW_LIMIT, NO_STREAM_OPTIONS
from exo_supervisor.wire.chat.request import Ask
from exo_supervisor.wire.errors import WireError
from exo_supervisor.wire.openai.inbound import read_chat
from exo_supervisor.wire.openai.outbound import (
    encode_chat,
    models_url,
    read_models,
    request_headers,
    url,
)

ASK = {"model": "m", "messages": [{"role": "user", "content": "é"}], "max_completion_tokens": 3}


@pytest.mark.parametrize(
    ("options", "merged"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, {"include_usage": True}),
        ({"stream_options": {"include_usage": False, "x": [1]}}, {"include_usage": True, "x": [1]}),
    ],
)
def test_a_provider_is_asked_to_stream_with_usage(
    options: dict[str, object], merged: dict[str, object]
) -> None:
    body = encode_chat(read_chat(json.dumps(ASK | options).encode()), Ask("gpt"))
    assert json.loads(body) == ASK | {"model": "gpt", "stream": True, "stream_options": merged}


def test_what_a_provider_does_not_take_is_not_asked() -> None:
    request = read_chat(json.dumps(ASK | {"stream_options": {"x": 1}}).encode())
    whole = json.loads(encode_chat(request, Ask("gpt", streamed=False, usage=False)))
    assert whole == ASK | {"model": "gpt", "stream": False}
    bare = json.loads(encode_chat(request, Ask("gpt", usage=False)))
    assert bare == ASK | {"model": "gpt", "stream": True, "stream_options": {"x": 1}}


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"max_tokens": 5}, {"max_completion_tokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 3}, {"max_completion_tokens": 3}),
        ({"max_completion_tokens": 3}, {"max_completion_tokens": 3}),
        ({}, {}),
    ],
)
def test_a_limit_is_told_in_the_one_word_that_a_provider_takes(
    limits: dict[str, object], told: dict[str, object]
) -> None:
    body = {"model": "m", **limits, "messages": ASK["messages"]}
    ask = Ask("m", usage=False, without=frozenset({NEW_LIMIT}))
    sent = json.loads(encode_chat(read_chat(json.dumps(body).encode()), ask))
    assert sent == {"model": "m", **told, "messages": ASK["messages"], "stream": True}
    assert list(sent) == ["model", *told, "messages", "stream"]


def test_stream_options_are_kept_from_a_provider_that_tells_its_usage_unasked() -> None:
    request = read_chat(json.dumps(ASK | {"stream_options": {"include_usage": True}}).encode())
    ask = Ask("m", usage=False, without=frozenset({NO_STREAM_OPTIONS}))
    assert json.loads(encode_chat(request, ask)) == ASK | {"model": "m", "stream": True}


@pytest.mark.parametrize(
    "body",
    [
        b'{"object":"list","data":[{"id":"a"},{"id":"b"},{"id":"a"},{"x":1},5]}',
        b'[{"id":"a"},"b"]',
        b'{"models":[{"name":"a"},{"id":"b"}]}',
    ],
)
def test_lists_of_every_known_shape_are_read(body: bytes) -> None:
    assert read_models(body) == {"a": NO_FACTS, "b": NO_FACTS}


def test_a_list_may_tell_how_much_a_model_takes() -> None:
    cards = [
        {"id": "a", "context_length": 8192},
        {"id": "b", "context_window": 4096},
        {"id": "c", "max_model_len": True, "max_context_length": 5},
        {"id": "d", "inputTokenLimit": "7"},
        {"id": "e", "context_length": 0},
        {"id": "a", "context_length": 1},
    ]
    models = read_models(json.dumps({"data": cards}).encode())
    contexts = {model: facts.context for model, facts in models.items()}
    assert contexts == {"a": 8192, "b": 4096, "c": 5, "d": 0, "e": 0}


@pytest.mark.parametrize("body", [b"", b"{}", b"5", b'{"data":{}}', b"\xff", b"[" * 100_000])
def test_anything_else_is_no_list_of_models(body: bytes) -> None:
    with pytest.raises(WireError):
        read_models(body)


@pytest.mark.parametrize("base", ["https://api.example/v1", "https://api.example/v1/"])
def test_a_trailing_slash_makes_no_difference(base: str) -> None:
    assert url(base, "chat") == "https://api.example/v1/chat/completions"
    assert models_url(base) == "https://api.example/v1/models"


def test_the_key_is_sent_where_there_is_one() -> None:
    assert "authorization" not in request_headers(None)
    headers = request_headers("made-up")
    assert headers["authorization"] == "Bearer made-up"
    assert headers["accept-encoding"] == "identity"
