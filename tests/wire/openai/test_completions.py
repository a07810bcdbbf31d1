"""Completions: chunks and whole answers of a provider, written for a client in the same words."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat.judge import Media
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.openai.completions import TextReader
from exo_supervisor.wire.table import DIALECTS, OPERATIONS

Json = dict[str, Any]
COMPLETE = OPERATIONS["/v1/completions"]
LOGPROBS = {"tokens": ["a"], "token_logprobs": [-1.5], "text_offset": [0], "top_logprobs": None}


def reading(media: Media, *, stream: bool, **fields: Any) -> Reader:  # noqa: ANN401 - any JSON
    body = {"model": "m", "prompt": "p", "stream": stream, **fields}
    body |= {"stream_options": {"include_usage": True}}
    request = COMPLETE.read(json.dumps(body).encode(), {})
    write = COMPLETE.stream if stream else COMPLETE.body
    return DIALECTS["openai"].readers["completions", media](
        writer=write(Reply("id", 7, "theirs", request)), asked="theirs", choices=request.n or 1
    )


def chunk(text: str | None, finish: str | None = None, index: int = 0, **more: object) -> bytes:
    choice = {"text": text, "index": index, "finish_reason": finish, **more}
    told = {"id": "x", "object": "text_completion", "model": "served", "choices": [choice]}
    return b"data: " + json.dumps(told).encode() + b"\n\n"


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
LAST = b"data: " + json.dumps({"model": "served", "choices": [], "usage": USAGE}).encode() + b"\n\n"
DONE = b"data: [DONE]\n\n"
STREAM = b"".join(
    (
        chunk("Ein Flu\u00df"),
        chunk("", logprobs=LOGPROBS),
        chunk(" \U0001f30a"),
        chunk("", "stop"),
        LAST,
        DONE,
    )
)


def events(data: bytes) -> list[Json]:
    assert data.endswith(DONE)
    lines = data.removesuffix(DONE).decode().split("\n\n")[:-1]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


@given(st.lists(st.integers(1, len(STREAM) - 1), unique=True, max_size=6))
def test_a_stream_says_the_same_however_it_is_split(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    parts = [STREAM[a:b] for a, b in pairwise(places)]
    reader, whole = reading("stream", stream=True), reading("stream", stream=False)
    out = b"".join(map(reader.feed, parts)) + reader.close()
    for part in parts:
        whole.feed(part)
    whole.close()
    assert (reader.fault, reader.done, whole.fault) == (None, True, None)
    told = events(out)
    texts = [choice for event in told for choice in event["choices"]]
    assert "".join(choice["text"] for choice in texts) == "Ein Fluß 🌊"
    assert [choice["finish_reason"] for choice in texts if choice["finish_reason"]] == ["stop"]
    assert [choice["logprobs"] for choice in texts if choice["logprobs"]] == [LOGPROBS]
    assert told[-1]["usage"] == USAGE
    assert {(each["id"], each["object"], each["created"], each["model"]) for each in told} == {
        ("cmpl-id", "text_completion", 7, "served")
    }
    answer = json.loads(b"".join(whole.result()))
    logprobs = {name: value for name, value in LOGPROBS.items() if value is not None}
    assert answer == {
        "id": "cmpl-id",
        "object": "text_completion",
        "created": 7,
        "model": "served",
        "choices": [
            {"index": 0, "text": "Ein Fluß 🌊", "logprobs": logprobs, "finish_reason": "stop"}
        ],
        "usage": USAGE,
    }


@pytest.mark.parametrize("stream", [True, False])
def test_a_whole_answer_is_read_for_whoever_asked(stream: bool) -> None:  # noqa: FBT001 - a row
    choices = [{"text": "b", "index": 1, "finish_reason": "length"}]
    choices.append({"text": "a", "index": 0, "finish_reason": "stop"})
    reader = reading("json", stream=stream, n=2)
    out = reader.feed(json.dumps({"choices": choices}, indent=1).encode()) + reader.close()
    assert reader.fault is None
    if stream:
        told = sorted((event["choices"][0] for event in events(out)), key=lambda one: one["index"])
    else:
        answer = json.loads(b"".join(reader.result()))
        assert answer["usage"] == {"completion_tokens": 2}
        told = answer["choices"]
    assert [(one["text"], one["finish_reason"]) for one in told] == [("a", "stop"), ("b", "length")]


@pytest.mark.parametrize(
    ("media", "data", "fault"),
    [
        ("stream", chunk("a") + DONE, Fault.UNFINISHED),
        ("stream", chunk("", "stop") + DONE, Fault.EMPTY),
        ("stream", chunk("a", "error") + DONE, Fault.ERROR_EVENT),
        ("stream", chunk("a") + b'data: {"choices":[{"text":7}]}\n\n', Fault.MALFORMED),
        ("stream", chunk("a") + b'data: {"error":{"message":"x"}}\n\n', Fault.ERROR_EVENT),
        ("json", b'{"choices":[]}', Fault.EMPTY),
        ("json", b'{"choices":[{"text":"a"}]}', Fault.UNFINISHED),
        ("json", b'{"choices":[{"text":"a","finish_reason":"stop"}', Fault.PAYLOAD),
        ("json", b'{"error":{"message":"x"}}', Fault.ERROR_EVENT),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_no_answer_that_is_not_whole_looks_whole(
    media: Media,
    data: bytes,
    fault: Fault,
    stream: bool,  # noqa: FBT001 - a row
) -> None:
    reader = reading(media, stream=stream)
    out = reader.feed(data) + reader.close()
    assert reader.fault is fault
    assert b"[DONE]" not in out
    assert b'"stop"' not in out


def test_odd_json_passes_as_json() -> None:
    data = b'data: {"choices":[{"text":"\\ud83c","logprobs":{"token_logprobs":[-Infinity]}}]}\n\n'
    reader = reading("stream", stream=True)
    out = reader.feed(data + chunk("", "stop") + DONE)
    assert reader.fault is None
    assert b'"\\ud83c"' in out
    assert b'"token_logprobs":[-9999.0]' in out


def test_texts_are_read_one_by_one() -> None:
    """A chunk has its text elsewhere than a chat's, and no template of those fits."""
    reader = reading("stream", stream=True)
    for _ in range(20):
        reader.feed(chunk("a"))
    assert isinstance(reader, TextReader)
    assert reader.take_texts(chunk("a"), b"", len(chunk("a"))) is None
