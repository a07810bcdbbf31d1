"""A client's dialect is found by its path, an upstream's by its name; they meet in the piece."""

import json

import msgspec
import pytest
from msgspec import Raw

from exo_supervisor.core.outcomes import Refusal
from exo_supervisor.wire.chat.judge import Media
from exo_supervisor.wire.chat.piece import Answer, Delta, Piece, Usage
from exo_supervisor.wire.chat.request import Ask, Kind
from exo_supervisor.wire.dialect import Reply, Told, told
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.lenient_json import dumps
from exo_supervisor.wire.openai.inbound import read_chat
from exo_supervisor.wire.openai.stream_writer import DONE
from exo_supervisor.wire.table import ANSWERED, DIALECTS, OPERATIONS, framing_of, served_at

CHAT = OPERATIONS["/v1/chat/completions"]
BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
OPENAI: dict[Media, bytes] = {
    "stream": b'data: {"choices":[{"delta":{"content":"yes"},"finish_reason":"stop"}]}\n\n' + DONE,
    "json": b'{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}]}',
}
MESSAGES: dict[Media, bytes] = {
    "stream": b'data: {"type":"message_start","message":{}}\n\n'
    b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"yes"}}\n\n'
    b'data: {"type":"content_block_stop","index":0}\n\n'
    b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n'
    b'data: {"type":"message_stop"}\n\n',
    "json": b'{"content":[{"type":"text","text":"yes"}],"stop_reason":"end_turn"}',
}
ANSWERS = {"openai": OPENAI, "exo": OPENAI, "anthropic": MESSAGES}
REQUESTS = {
    "/v1/chat/completions": BODY,
    "/v1/messages": BODY[:-1] + b',"max_tokens":1}',
    "/v1/responses": b'{"model":"m","input":"hi"}',
    "/api/chat": BODY,
    "/api/generate": b'{"model":"m","prompt":"hi"}',
}


def test_every_kind_of_peer_speaks_a_dialect_of_the_table() -> None:
    assert {traits.dialect for traits in TRAITS.values()} <= set(DIALECTS)


@pytest.mark.parametrize("media", OPENAI)
@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("path", REQUESTS)
def test_each_dialect_is_asked_and_read_for_each_client(path: str, name: str, media: Media) -> None:
    """Row 23: whichever form a client wants, and whichever comes."""
    operation, dialect = OPERATIONS[path], DIALECTS[name]
    traits = next((t for t in TRAITS.values() if t.dialect == name), TRAITS[None])
    request = operation.read(REQUESTS[path], {})
    asked = json.loads(dialect.encode(request, Ask("theirs", traits)))
    assert asked["model"] == "theirs"
    assert dialect.url("http://n:1", "chat").startswith("http://n:1/")
    for write in (operation.stream, operation.body):
        writer = write(Reply("id", 1, "theirs", request))
        reader = dialect.readers["chat", media](writer=writer, traits=traits, asked="theirs")
        told = reader.feed(ANSWERS[name][media]) + reader.close() + b"".join(reader.result())
        assert (reader.fault, reader.done) == (None, True)
        assert b'"yes"' in told
        assert b'-id"' in told or b'_id"' in told or path.startswith("/api/")


@pytest.mark.parametrize(
    ("path", "sign"),
    [
        ("/v1/messages", b'"type":"error"'),
        ("/v1/messages/count_tokens", b'"type":"error"'),
        ("/v1/chat/completions", b'"param":null'),
        ("/nowhere", b'"param":null'),
    ],
)
def test_an_error_has_the_shape_of_the_path_s_dialect(path: str, sign: bytes) -> None:
    assert sign in framing_of(path).error_body(Told(404, "route_not_found", "words"))


def test_a_path_is_served_by_its_row_or_not_at_all() -> None:
    assert served_at("/v1/messages") is OPERATIONS["/v1/messages"]
    assert served_at("/v1/messages/count_tokens") is ANSWERED["/v1/messages/count_tokens"]
    with pytest.raises(KeyError):
        served_at("/nowhere")


def test_a_refusal_is_told_as_it_is_with_the_name_of_its_request() -> None:
    refusal = Refusal(429, "rate_limited", "words", "model", retry_after=3.0)
    assert told(refusal, "r1") == Told(
        429, "rate_limited", "words", "model", retry_after=3.0, request_id="r1"
    )


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
