"""A client's dialect is found by its path, an upstream's by its name; they meet in the piece."""

import json

import msgspec
import pytest
from msgspec import Raw

from exo_supervisor.wire.chat.piece import Answer, Delta, Piece, Usage
from exo_supervisor.wire.chat.request import Ask, Kind
from exo_supervisor.wire.dialect import Media, Reply
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.lenient_json import dumps
from exo_supervisor.wire.openai.inbound import read_chat
from exo_supervisor.wire.openai.stream_writer import DONE
from exo_supervisor.wire.table import DIALECTS, OPERATIONS

CHAT = OPERATIONS["/v1/chat/completions"]
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
ANSWERS: dict[Media, bytes] = {
    "stream": b'data: {"choices":[{"delta":{"content":"yes"},"finish_reason":"stop"}]}\n\n' + DONE,
    "json": b'{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}]}',
}


def test_every_kind_of_peer_speaks_a_dialect_of_the_table() -> None:
    assert {traits.dialect for traits in TRAITS.values()} == set(DIALECTS)


@pytest.mark.parametrize("media", ANSWERS)
@pytest.mark.parametrize("name", DIALECTS)
def test_each_dialect_is_asked_and_read_for_each_client(name: str, media: Media) -> None:
    dialect, traits = DIALECTS[name], next(t for t in TRAITS.values() if t.dialect == name)
    asked = json.loads(dialect.encode(read_chat(BODY), Ask("theirs", traits)))
    assert asked["model"] == "theirs"
    assert dialect.url("http://n:1", "chat").endswith("/chat/completions")
    for write in (CHAT.stream, CHAT.body):
        writer = write(Reply("id", 1, "theirs", read_chat(BODY)))
        reader = dialect.readers["chat", media](writer=writer, traits=traits, asked="theirs")
        told = reader.feed(ANSWERS[media]) + reader.close() + b"".join(reader.result())
        assert (reader.fault, reader.done) == (None, True)
        assert b'"content":"yes"' in told
        assert b"chatcmpl-id" in told


def test_a_piece_that_no_openai_wrote_is_written_by_the_same_writers() -> None:
    """What the reader of another dialect has to make is a delta, and that as OpenAI says it."""
    answer = Answer()
    answer.content, answer.tokens, answer.served_model = True, 1, "claude"
    answer.usage = Usage(1, 2, 3)
    answer.usage_text = b'{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'
    delta = Delta(content="yes")
    chat = read_chat(BODY[:-1] + b',"stream_options":{"include_usage":true}}')
    stream, body = (write(Reply("id", 1, "m", chat)) for write in (CHAT.stream, CHAT.body))
    told = stream.take(Piece(delta, Raw(dumps(delta)), finish="stop"), answer) + stream.end(answer)
    assert told.count(b"data: ") == 3
    assert b'"model":"claude"' in told
    assert body.take(Piece(delta, Raw(dumps(delta)), finish="stop"), answer) == b""
    whole = json.loads(b"".join(body.result(answer)))
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "yes"}
    assert whole["usage"]["total_tokens"] == 3


def test_a_piece_that_is_copied_tells_something_though_its_delta_is_empty() -> None:
    """The start of a block, or a signature, of an upstream in the client's own dialect."""
    assert not Piece(Delta(), Raw(b"{}")).tells()
    assert Piece(Delta(), Raw(b"{}"), native=b'{"type":"content_block_start"}').tells()


@pytest.mark.parametrize("kind", ["chat", "completions", "embeddings"])
def test_a_request_of_each_kind_has_a_prompt_and_a_place_at_a_provider(kind: Kind) -> None:
    name = {"chat": "messages", "completions": "prompt", "embeddings": "input"}[kind]
    fields = {name: Raw(b'"it"')}
    request = msgspec.structs.replace(read_chat(BODY), kind=kind, fields=fields)
    assert request.prompt == Raw(b'"it"')
    asked = DIALECTS["openai"].url("http://n:1/v1/", kind)
    assert asked == f"http://n:1/v1/{kind}".replace("/chat", "/chat/completions")
