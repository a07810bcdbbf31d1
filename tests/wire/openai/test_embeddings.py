"""Embeddings: only a whole list of vectors is an answer, and it comes in the form asked for."""

import base64
import json
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from exo_supervisor.core.outcomes import Fault
from exo_supervisor.wire.chat import vectors
from exo_supervisor.wire.chat.gathered import MAX_ANSWER_BYTES
from exo_supervisor.wire.chat.piece import JoinError, OversizedAnswerError, Usage
from exo_supervisor.wire.chat.reader import Reader
from exo_supervisor.wire.dialect import Reply
from exo_supervisor.wire.table import DIALECTS, OPERATIONS

Json = dict[str, Any]
EMBED = OPERATIONS["/v1/embeddings"]
FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def reading(count: int = 2, **fields: object) -> Reader:
    body = {"model": "m", "input": ["a"] * count, **fields}
    request = EMBED.read(json.dumps(body).encode(), {})
    writer = EMBED.body(Reply("id", 1, "theirs", request))
    reader = DIALECTS["openai"].readers["embeddings", "json"]
    return reader(writer=writer, asked="theirs", choices=request.n or 1)


def told(reader: Reader, answer: object) -> Json | Fault | None:
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    middle = len(data) // 2
    out = reader.feed(data[:middle]) + reader.feed(data[middle:]) + reader.close()
    assert out == b""
    if reader.fault is not None:
        return reader.fault
    assert reader.done
    assert reader.content
    return json.loads(b"".join(reader.result()))


def listed(*embeddings: object, **more: object) -> Json:
    data = [
        {"object": "embedding", "index": index, "embedding": each}
        for index, each in enumerate(embeddings)
    ]
    return {"object": "list", "data": data, "model": "theirs", **more}


def test_a_whole_list_is_written_with_its_usage_and_who_made_it() -> None:
    usage = {"prompt_tokens": 4, "total_tokens": 4, "prompt_tokens_details": None, "cost": 2e-6}
    reader = reading()
    sent = json.dumps(listed([1.0, 0.5], [0.25, 1], usage=usage, id="gen-1")).replace(
        "0.25", "2.5e-1"
    )
    assert told(reader, sent.encode()) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [1.0, 0.5]},
            {"object": "embedding", "index": 1, "embedding": [0.25, 1]},
        ],
        "model": "theirs",
        "usage": usage,
    }
    assert reader.usage == Usage(4, 0, 4, reported_cost=2_000_000)
    assert reader.response_id == "gen-1"
    assert reader.reckoned == 0, "vectors are no tokens"
    assert b"2.5e-1" in b"".join(reader.result())  # a value is copied as it came
    for odd in ("many", -1, 10**40):
        unbilled = reading()
        answer = told(unbilled, listed([1.0], [1.0], usage={"prompt_tokens": odd}))
        assert isinstance(answer, dict)
        assert "usage" not in answer  # none is made up
        assert unbilled.usage is None


def test_vectors_come_in_the_order_of_their_texts() -> None:
    mixed = listed([1.0], [2.0])
    mixed["data"].reverse()
    unnumbered = {"data": [{"embedding": [1.0]}, {"embedding": [2.0]}]}
    for answer in (mixed, unnumbered):
        whole = told(reading(), answer)
        assert isinstance(whole, dict)
        assert [item["embedding"] for item in whole["data"]] == [[1.0], [2.0]]
        assert [item["index"] for item in whole["data"]] == [0, 1]


@given(st.lists(FLOAT32.filter(lambda each: each != 0), min_size=1, max_size=9))
def test_either_form_becomes_the_other_and_no_number_changes(numbers: list[float]) -> None:
    for sent in (numbers, packed(*numbers)):
        for form in ("float", "base64"):
            whole = told(reading(1, encoding_format=form), listed(sent))
            assert isinstance(whole, dict)
            vector = whole["data"][0]["embedding"]
            assert vector == (packed(*numbers) if form == "base64" else numbers)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", Fault.EMPTY),
        ({"data": []}, Fault.EMPTY),
        ({}, Fault.EMPTY),
        (listed([1.0]), Fault.UNFINISHED),
        (listed([1.0], [1.0], [1.0]), Fault.PAYLOAD),
        ({"data": [{"index": 0, "embedding": [1.0]}] * 2}, Fault.PAYLOAD),
        (listed([1.0], [1.0, 2.0]), Fault.MALFORMED),
        (listed([1.0], []), Fault.MALFORMED),
        (listed([1.0], ""), Fault.MALFORMED),
        (listed([1.0], None), Fault.MALFORMED),
        (listed([1.0], ["1.0"]), Fault.MALFORMED),
        (listed([1.0], [True]), Fault.MALFORMED),
        (listed(packed(1.0), "AAA="), Fault.MALFORMED),
        (listed(packed(1.0), "no base64 at all"), Fault.MALFORMED),
        (listed(packed(1.0), packed(float("nan"))), Fault.MALFORMED),
        (b'{"data":[{"embedding":[1.0]},{"embedding":[NaN]}]}', Fault.PAYLOAD),
        (b'{"data":[{"embedding":[1.0]},', Fault.PAYLOAD),
        (b'{"data":[{"embedding":"\xff"},{"embedding":[1.0]}]}', Fault.PAYLOAD),
        ([], Fault.PAYLOAD),
        ({"error": {"message": "no"}}, Fault.ERROR_EVENT),
        (listed([1.0], [1.0], model="another"), None),
    ],
)
def test_an_answer_that_is_not_whole_is_a_failure(answer: object, fault: Fault | None) -> None:
    found = told(reading(), answer)
    assert found == fault if fault is not None else isinstance(found, dict)


def test_a_number_that_no_float32_can_be_is_not_made_one() -> None:
    assert told(reading(1, encoding_format="base64"), listed([1e300])) is Fault.MALFORMED
    with pytest.raises(JoinError, match="no float32"):
        vectors.write_vector(Raw(b"[1e300]"), [1e300], base64=True)


def test_another_length_than_asked_for_is_said_and_served_elsewhere() -> None:
    reader = reading(1, dimensions=2)
    assert told(reader, listed([1.0, 2.0, 3.0])) is Fault.UNSUPPORTED
    assert reader.message == "it answered with 3 dimensions, not the 2 asked for"
    assert isinstance(told(reading(1, dimensions=2), listed([1.0, 2.0])), dict)


def test_vectors_are_held_within_a_bound() -> None:
    reader = reading(1)
    reader.writer.note(MAX_ANSWER_BYTES - 10)
    assert told(reader, listed([1.0])) is Fault.OVERSIZED
    with pytest.raises(OversizedAnswerError):
        reader.writer.note(MAX_ANSWER_BYTES)
    grown = reading(1, encoding_format="float")
    answer = json.dumps(listed(packed(*[0.1] * 100))).encode()
    grown.writer.note(MAX_ANSWER_BYTES - len(answer) - 1)
    assert told(grown, answer) is Fault.OVERSIZED  # as numbers it takes more


def test_vectors_are_no_stream_of_texts() -> None:
    reader = reading(1)
    piece: Any = msgspec.UNSET
    assert reader.writer.plain(piece, reader, b"", 0) is None
