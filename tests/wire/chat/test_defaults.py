"""What a row fills in is as if the client had sent it."""

import json
from collections.abc import Callable, Mapping

import msgspec
import pytest
from msgspec import Raw

from exo_supervisor.core.outcomes import BadRequestError
from exo_supervisor.wire.anthropic import outbound as messages_outbound
from exo_supervisor.wire.anthropic.inbound import read_messages
from exo_supervisor.wire.chat.defaults import fill
from exo_supervisor.wire.chat.request import Ask, ChatRequest, Fields
from exo_supervisor.wire.ollama import inbound as ollama
from exo_supervisor.wire.openai.inbound import read_chat
from exo_supervisor.wire.openai.inputs import read_completions, read_embeddings
from exo_supervisor.wire.openai.outbound import encode_chat
from exo_supervisor.wire.responses.inbound import read_responses

HI = [{"role": "user", "content": "hi"}]


def raws(**fields: object) -> Fields:
    return {name: Raw(msgspec.json.encode(value)) for name, value in fields.items()}


SHAPE = {"type": "json_object"}
DEFAULTS = raws(max_tokens=9, temperature=0.5, stop="x", n=2, response_format=SHAPE)


def body(**more: object) -> bytes:
    return msgspec.json.encode({"model": "m", "messages": HI, **more})


def test_it_is_read_as_if_the_client_had_sent_it() -> None:
    filled = fill(read_chat(body(user="u")), DEFAULTS)
    sent = {name: msgspec.json.decode(raw) for name, raw in DEFAULTS.items()}
    assert filled == read_chat(body(user="u", **sent))
    assert list(filled.fields) == ["model", "messages", "user", *DEFAULTS]


@pytest.mark.parametrize(
    "said",
    [
        {"max_tokens": 3, "temperature": 0, "stop": [], "n": 1, "response_format": None},
        {"max_completion_tokens": 3, "temperature": None, "stop": "y", "n": None,
         "response_format": {"type": "text"}},
    ],
)  # fmt: skip
def test_what_the_client_says_itself_stays(said: dict[str, object]) -> None:
    chat = read_chat(body(**said))
    assert fill(chat, DEFAULTS) is chat


def test_half_of_it_is_filled_in() -> None:
    chat = read_chat(body(n=3, stop="y", logprobs=True))
    filled = fill(chat, DEFAULTS)
    assert (filled.n, filled.stop, filled.max_tokens) == (3, ("y",), 9)
    assert filled.demands == {"n", "logprobs", "response_format", "response_format=json_object"}


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_the_limit_holds_under_either_name(limit: str) -> None:
    assert fill(read_chat(body()), raws(**{limit: 5})).max_tokens == 5


def test_no_defaults_change_nothing() -> None:
    chat = read_chat(body())
    assert fill(chat, {}) is chat


def test_a_client_of_messages_gets_them_at_a_provider_of_either_dialect() -> None:
    raw = json.dumps({"model": "m", "max_tokens": 4, "messages": HI, "top_k": 3}).encode()
    filled = fill(read_messages(raw, {}), raws(temperature=0.5, stop="x", top_k=9, seed=1))
    native = json.loads(messages_outbound.encode(filled, Ask("m")))
    assert (native["temperature"], native["stop_sequences"]) == (0.5, ["x"])
    assert (native["max_tokens"], native["top_k"]) == (4, 3)
    assert native["seed"] == 1  # for the provider to refuse by its name, as a chat's is
    assert "stop" not in native
    openai = json.loads(encode_chat(filled, Ask("m")))
    assert (openai["temperature"], openai["stop"], openai["seed"]) == (0.5, "x", 1)
    listed = fill(read_messages(raw, {}), raws(stop=["x", "y"]))
    assert json.loads(messages_outbound.encode(listed, Ask("m")))["stop_sequences"] == ["x", "y"]
    bare = fill(read_messages(raw, {}), raws(seed=1))
    assert "stop_sequences" not in json.loads(messages_outbound.encode(bare, Ask("m")))


def test_what_a_client_of_responses_sent_is_told_back_to_it_as_it_was() -> None:
    asked = read_responses(msgspec.json.encode({"model": "m", "input": "hi"}), {})
    filled = fill(asked, raws(temperature=0.5))
    assert filled.native == asked.native
    assert filled.fields["temperature"] == Raw(b"0.5")


def test_a_list_of_texts_gets_no_default_of_a_chat() -> None:
    asked = read_embeddings(msgspec.json.encode({"model": "m", "input": ["a", "b", "c"]}))
    assert fill(asked, DEFAULTS) is asked
    filled = fill(asked, {**DEFAULTS, **raws(dimensions=4, encoding_format="base64", user="u")})
    assert list(filled.fields) == ["model", "input", "dimensions", "encoding_format", "user"]
    assert (filled.n, filled.demands, filled.stop) == (3, asked.demands, ())


def test_each_prompt_of_a_completion_gets_as_many_texts_as_the_row_says() -> None:
    asked = {"model": "m", "prompt": ["a", "b", "c"]}
    filled = fill(read_completions(msgspec.json.encode(asked)), raws(n=2, stop="x", dimensions=4))
    assert list(filled.fields) == ["model", "prompt", "n", "stop"]
    assert filled.demands == {"completions", "n"}
    assert filled.n == 6
    said = read_completions(msgspec.json.encode({**asked, "n": 1}))
    assert fill(said, raws(n=2)) is said
    most = read_completions(msgspec.json.encode({"model": "m", "prompt": ["a", "b"]}))
    assert fill(most, raws(n=64)).n == 128
    with pytest.raises(BadRequestError, match="more than 128 answers"):
        fill(read_completions(msgspec.json.encode(asked)), raws(n=43))


@pytest.mark.parametrize("read", [read_messages, read_responses, ollama.read_chat])
def test_what_a_client_of_another_dialect_cannot_be_shown_is_not_filled_in(
    read: Callable[[bytes, Mapping[str, str]], ChatRequest],
) -> None:
    chat = read(_bare(read), {})
    unseen = raws(n=2, logprobs=True, top_logprobs=3, modalities=["audio"], audio={}, dimensions=4)
    assert fill(chat, unseen) is chat
    assert fill(chat, {**unseen, "seed": Raw(b"1")}).fields["seed"] == Raw(b"1")


def _bare(read: object) -> bytes:
    if read is read_responses:
        return msgspec.json.encode({"model": "m", "input": "hi"})
    return body(max_tokens=4) if read is read_messages else body()


def messages_body(defaults: Fields, **said: object) -> dict[str, object]:
    """Return what a provider of Messages gets of a client that speaks them."""
    asked = read_messages(body(max_tokens=4, **said), {})
    return json.loads(messages_outbound.encode(fill(asked, defaults), Ask("m")))


SCHEMA = {"type": "object"}
FORM = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
NATIVE_FORM = {"type": "json_schema", "schema": SCHEMA}


@pytest.mark.parametrize(
    ("said", "config"),
    [
        ({}, {"effort": "low", "format": NATIVE_FORM}),
        ({"output_config": {"effort": "max"}}, {"effort": "max", "format": NATIVE_FORM}),
        ({"output_config": {"format": {**NATIVE_FORM, "schema": {}}}},
         {"effort": "low", "format": {**NATIVE_FORM, "schema": {}}}),
        ({"output_format": {"type": "other"}}, {"effort": "low"}),
        ({"output_config": None}, {"effort": "low", "format": NATIVE_FORM}),
        ({"thinking": {"type": "adaptive"}}, {"effort": "low", "format": NATIVE_FORM}),
        ({"thinking": {"type": "disabled"}}, {"format": NATIVE_FORM}),
    ],
)  # fmt: skip
def test_messages_have_words_for_how_much_to_think_and_the_form(
    said: dict[str, object], config: dict[str, object]
) -> None:
    sent = messages_body(raws(reasoning_effort="low", response_format=FORM), **said)
    assert sent["output_config"] == config
    assert {**sent, **said, "output_config": config} == sent


def test_thinking_is_turned_off_but_for_who_asks_for_it() -> None:
    off = raws(reasoning_effort="none")
    assert messages_body(off)["thinking"] == {"type": "disabled"}
    asked = {"type": "adaptive"}
    assert messages_body(off, thinking=asked)["thinking"] == asked
    assert messages_body(raws(thinking=asked))["thinking"] == asked
    assert "output_config" not in messages_body(off, output_format={"type": "other"})


def test_what_messages_have_no_word_for_is_named() -> None:
    said = raws(temperature=1, reasoning_effort="low", response_format=FORM, n=1, user="u")
    assert messages_outbound.unsaid(said) == []
    lost = raws(verbosity="low", seed=1, n=2, response_format=SHAPE, dimensions=4)
    assert messages_outbound.unsaid(lost) == ["n", "response_format", "seed", "verbosity"]
