"""Half an emoji, escaped as a lone surrogate, costs its own event and crashes no reader."""

import json
from itertools import product

import pytest

from exo_supervisor.core.outcomes import Fault, Refusal
from exo_supervisor.wire.chat.judge import Media
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.dialect import Reply, told
from exo_supervisor.wire.exo.traits import TRAITS
from exo_supervisor.wire.openai.answer_writer import AnswerWriter
from exo_supervisor.wire.openai.body_reader import BodyReader
from exo_supervisor.wire.openai.reader import ChunkReader
from exo_supervisor.wire.table import DIALECTS, OPERATIONS

BESIDE = (
    b"",
    rb'"id":"a\ud800",',
    rb'"model":"m\ud800",',
    rb'"usage":{"prompt_tokens":"\ud800","completion_tokens":1},',
    rb'"error":{"message":"\ud800","code":"\ud800","type":"\ud800"},',
)
WITHIN = (
    rb'"finish_reason":"stop\ud800"',
    rb'"finish_reason":null,"index":"\ud800"',
    rb'"native_finish_reason":"a\ud800"',
    rb'"logprobs":"a\ud800"',
    rb'"delta":{"role":"a\ud800","tool_calls":[{"id":"\ud800","function":{"name":"\ud800"}}]}',
)


@pytest.mark.parametrize("kind", [BodyReader, ChunkReader])
@pytest.mark.parametrize(("beside", "within"), list(product(BESIDE, WITHIN)))
def test_half_a_character_anywhere_ends_in_an_answer_or_a_fault(
    kind: type[BodyReader | ChunkReader], beside: bytes, within: bytes
) -> None:
    reader: Reader = kind(
        writer=AnswerWriter(id="ours", created=7),
        traits=TRAITS[None],
        max_tokens=None,
        stop=(),
        choices=1,
        hide=str,
    )
    event = b"{%b" % beside + b'"choices":[{"message":{"content":"a"},%b}]}' % within
    reader.feed(b"data: %b\n\n" % event if kind is ChunkReader else event)
    reader.close()
    assert reader.done or reader.fault is not None


CLIENTS: dict[str, dict[str, object]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/completions": {"prompt": "hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
    "/v1/responses": {"input": "hi"},
    "/api/chat": {"messages": [{"role": "user", "content": "hi"}]},
    "/api/generate": {"prompt": "hi"},
}
ENDINGS = {
    "json": rb'{"choices":[{"text":"a","message":{"content":"a"},"finish_reason":"\ud800"}]}',
    "stream": b'data: {"choices":[{"text":"a","delta":{"content":"a"}}]}\n\n'
    rb'data: {"choices":[{"delta":{},"finish_reason":"\ud800"}]}' + b"\n\ndata: [DONE]\n\n",
}


def answered(path: str, media: Media, data: bytes, *, stream: bool) -> tuple[Reader, Reply]:
    operation = OPERATIONS[path]
    body = {"model": "m", "stream": stream} | CLIENTS[path]
    reply = Reply("ours", 7, "m", operation.read(json.dumps(body).encode(), {}))
    writer = (operation.stream if stream else operation.body)(reply)
    reader = DIALECTS["openai"].readers[reply.chat.kind, media](writer=writer)
    reader.feed(data)
    reader.close()
    return reader, reply


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("media", ["json", "stream"])
@pytest.mark.parametrize("path", CLIENTS)
def test_half_a_character_for_a_finish_reason_is_malformed_for_every_client(
    path: str, media: Media, *, stream: bool
) -> None:
    reader, _ = answered(path, media, ENDINGS[media], stream=stream)
    assert reader.fault is Fault.MALFORMED


@pytest.mark.parametrize("path", CLIENTS)
def test_an_error_with_half_a_character_in_its_words_is_told_to_every_client(path: str) -> None:
    data = rb'data: {"error":{"message":"a\ud800b","code":"c\udfff"}}' + b"\n\n"
    reader, reply = answered(path, "stream", data, stream=True)
    assert reader.fault is Fault.ERROR_EVENT
    refusal = told(Refusal(502, "upstream_error", reader.message))
    framing = OPERATIONS[path].framing
    for written in (framing.error_body(refusal), framing.error_event(refusal, reply)):
        assert b"a b" in written
