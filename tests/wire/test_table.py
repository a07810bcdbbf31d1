"""A client's dialect is found by its path, an upstream's by its name; they meet in the piece."""

import json

import pytest
from msgspec import Raw

from exo_supervisor.wire.chat.piece import Answer, Delta, Piece, Usage
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.lenient_json import dumps
from exo_supervisor.wire.openai.inbound import read_chat
from exo_supervisor.wire.openai.outbound import Ask
from exo_supervisor.wire.openai.stream_writer import DONE
from exo_supervisor.wire.table import DIALECTS, OPERATIONS, Media, Reply

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
    assert dialect.url("http://n:1").endswith("/chat/completions")
    for write in (CHAT.stream, CHAT.body):
        writer = write(Reply("id", 1, "theirs"))
        reader = dialect.readers[media](writer=writer, traits=traits, asked="theirs")
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
    stream, body = (
        write(Reply("id", 1, "m", include_usage=True)) for write in (CHAT.stream, CHAT.body)
    )
    told = stream.take(Piece(delta, Raw(dumps(delta)), finish="stop"), answer) + stream.end(answer)
    assert told.count(b"data: ") == 3
    assert b'"model":"claude"' in told
    assert body.take(Piece(delta, Raw(dumps(delta)), finish="stop"), answer) == b""
    whole = json.loads(b"".join(body.result(answer)))
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "yes"}
    assert whole["usage"]["total_tokens"] == 3
