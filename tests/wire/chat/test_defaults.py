"""What a row fills in is as if the client had sent it."""

import json

import msgspec
import pytest
from msgspec import Raw

from exo_supervisor.wire.anthropic import outbound as messages_outbound
from exo_supervisor.wire.anthropic.inbound import read_messages
from exo_supervisor.wire.chat.defaults import fill
from exo_supervisor.wire.chat.request import Ask, Fields
from exo_supervisor.wire.openai.inbound import read_chat
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
    assert "seed" not in native
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
