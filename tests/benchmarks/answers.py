"""What the fake upstream says, made once: Exo C's and a cloud's streams, and the plain form."""

from functools import cache

import msgspec

EXO_MODEL = "bench/tiny-llama"
CLOUD_MODEL = "large-llama"
WORD = "dog "
INSTANCES = 32
"""Copies of the model: each works on eight requests at once, and the gateway seats no more."""

_ID = "37c623d3-21a8-4ba6-90e2-a190e7eca4d1"
_NODE = "ab6b51a926ab774c873d4ee9cb367a65"
_STREAM_HEAD = (
    b"HTTP/1.1 200 \r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\ndate: Mon, 05 Jan 2026 09:00:00 GMT\r\n"
    b"server: hypercorn-h11\r\ntransfer-encoding: chunked\r\n\r\n"
)
_PROGRESS = (
    b': prefill_progress {"PrefillProgressChunk":{"model":"%b","processed_tokens":%d,'
    b'"total_tokens":1}}\n\n'
)
_STATS = (
    b': generation_stats {"prompt_tps":701.8,"generation_tps":306.2,"prompt_tokens":3,'
    b'"generation_tokens":%d,"peak_memory_usage":{"in_bytes":3813858},"prefix_cache_hit":"none"}'
    b"\n\n"
)


def text(tokens: int) -> str:
    """Return the whole answer's text."""
    return WORD * tokens


@cache
def stream(tokens: int, *, cloud: bool) -> tuple[bytes, ...]:
    """Return a stream as it is written, one piece a token; the first holds the head.

    A piece is one HTTP chunk, or several where Exo writes them at once.
    """
    model = CLOUD_MODEL if cloud else EXO_MODEL
    name = model.encode()
    if cloud:
        opening = [_event(_choice({"role": "assistant", "content": ""}), model, cloud=cloud)]
        closing = [_usage(tokens, model)]
    else:
        opening = [b": keep-alive\n\n", _PROGRESS % (name, 0), _PROGRESS % (name, 1)]
        closing = [_STATS % tokens]
    delta: dict[str, object] = {"content": WORD}
    if not cloud:
        delta = {"role": "assistant"} | delta
    word = _chunk(_event(_choice(delta), model, cloud=cloud))
    last = _event(_choice(delta, "stop"), model, tokens=0 if cloud else tokens, cloud=cloud)
    end = b"".join(map(_chunk, [*closing, b"data: [DONE]\n\n"])) + b"0\r\n\r\n"
    first = _STREAM_HEAD + b"".join(map(_chunk, opening))
    return (first, *[word] * (tokens - 1), _chunk(last), end)


@cache
def at_once(tokens: int, *, cloud: bool) -> bytes:
    """Return a whole stream for one write."""
    return b"".join(stream(tokens, cloud=cloud))


@cache
def plain(tokens: int) -> bytes:
    """Return the whole answer as one JSON object, with its head."""
    message = {"role": "assistant", "content": text(tokens)}
    fields = _envelope(CLOUD_MODEL, "chat.completion")
    fields["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    fields["usage"] = _sum(tokens)
    return as_json(fields)


def small(path: str) -> bytes | None:
    """Answer a GET as a node that is ready does, or as a cloud; None for a path there is not."""
    found = _SMALL.get(path)
    return None if found is None else as_json(found)


def as_json(value: object, status: bytes = b"200 ") -> bytes:
    """Write a whole HTTP answer."""
    body = msgspec.json.encode(value)
    head = b"HTTP/1.1 %b\r\ncontent-length: %d\r\ncontent-type: application/json\r\n\r\n"
    return head % (status, len(body)) + body


def _envelope(model: str, kind: str) -> dict[str, object]:
    return {"id": _ID, "object": kind, "created": 1767603600, "model": model}


def _choice(delta: dict[str, object], finish: str | None = None) -> dict[str, object]:
    choice: dict[str, object] = {"index": 0, "delta": delta}
    return choice if finish is None else choice | {"finish_reason": finish}


def _event(choice: dict[str, object], model: str, *, tokens: int = 0, cloud: bool) -> bytes:
    fields = _envelope(model, "chat.completion.chunk" if cloud else "chat.completion")
    fields["choices"] = [choice]
    if tokens:
        fields["usage"] = _sum(tokens)
    return b"data: " + msgspec.json.encode(fields) + b"\n\n"


def _usage(tokens: int, model: str) -> bytes:
    fields = _envelope(model, "chat.completion.chunk")
    fields["choices"] = ()
    fields["usage"] = _sum(tokens)
    return b"data: " + msgspec.json.encode(fields) + b"\n\n"


def _sum(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens}


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _instance(number: int) -> dict[str, object]:
    shards: dict[str, object] = {
        "modelId": EXO_MODEL,
        "runnerToShard": {f"r{number}": {}},
        "nodeToRunner": {_NODE: f"r{number}"},
    }
    return {"MlxRingInstance": {"instanceId": f"i{number}", "shardAssignments": shards}}


_SMALL: dict[str, object] = {
    "/node_id": _NODE,
    "/v1/feature-flags": {},
    "/state/instances": {f"i{number}": _instance(number) for number in range(INSTANCES)},
    "/state/runners": {
        f"r{number}": {"RunnerReady": {"prefillServerPort": None}} for number in range(INSTANCES)
    },
    "/state/topology": {"nodes": [_NODE], "connections": {}},
    "/v1/models": {"object": "list", "data": [{"id": EXO_MODEL}]},
    "/cloud/v1/models": {"object": "list", "data": [{"id": CLOUD_MODEL}]},
    "/whole/v1/models": {"object": "list", "data": [{"id": CLOUD_MODEL}]},
}
