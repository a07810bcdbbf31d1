"""Server-sent events, however they are cut and whatever ends their lines."""

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exo_supervisor.wire.sse import Comment, Message, OversizedEventError, SseReader
from tests.budget import budget

LINES = st.sampled_from(
    b"data: a|data:b|data|data:  c|: note|:note|:|event: x|event:y|event|id: 1|retry: 5|nonsense"
    b"||||data: \xc3\xa9|database: 1".split(b"|")
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
STREAMS = st.lists(st.tuples(LINES, ENDS)).map(lambda parts: b"".join(a + b for a, b in parts))


def naive(stream: bytes) -> list[Message | Comment]:
    """Follow the specification a line at a time, with the whole stream at hand."""
    lines = re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf"))[:-1]
    found: list[Message | Comment] = []
    data: list[bytes] = []
    event = b""
    for line in lines:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                found.append(Message(b"\n".join(data), event))
            data, event = [], b""
        elif line.startswith(b":"):
            found.append(Comment(value))
        elif name == b"data":
            data.append(value)
        elif name == b"event":
            event = value
    return found


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@given(stream=STREAMS, mark=st.sampled_from([b"", b"\xef\xbb\xbf"]), cuts=st.lists(st.integers(0)))
def test_any_split_reads_like_the_naive_reader(stream: bytes, mark: bytes, cuts: list[int]) -> None:
    reader = SseReader()
    found = [event for piece in pieces(mark + stream, cuts) for event in reader.feed(piece)]
    assert found == naive(mark + stream)


def taken(reader: SseReader, piece: bytes) -> list[Message | Comment]:
    message, comment = reader.one_message(piece), reader.one_comment(piece)
    if message is not None:
        return [Message(message)]
    return reader.feed(piece) if comment is None else [Comment(comment)]


@given(
    parts=st.lists(
        STREAMS
        | st.sampled_from([b"data: a\n\n", b"data: \xc3\xa9\n\n", b"data: \n\n"])
        | st.sampled_from([b": a\n\n", b":\n\n", b":a\r\n\n", b":  a\n\n", b": a\nevent: b\n\n"])
    ),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    cuts=st.none() | st.lists(st.integers(0)),
)
def test_what_is_taken_as_one_message_is_what_is_read_line_by_line(
    parts: list[bytes], mark: bytes, cuts: list[int] | None
) -> None:
    stream, reader = mark + b"".join(parts), SseReader()
    came = [mark, *parts] if cuts is None else pieces(stream, cuts)
    assert [event for piece in came for event in taken(reader, piece)] == naive(stream)


def test_one_usual_message_needs_no_lines() -> None:
    reader = SseReader(max_event=100)
    assert reader.one_message(b"data: a\n\n") == b"a"
    assert reader.one_message(b"data: %b\n\n" % (b"a" * 100)) is None
    assert reader.one_message(b"data: a\rb\n\n") is None
    assert reader.one_message(b"data: a\n\ndata: b\n\n") is None
    reader.feed(b"data: a\n")
    assert reader.one_message(b"data: a\n\n") is None


def test_one_comment_needs_no_lines() -> None:
    reader = SseReader(max_event=100)
    assert reader.one_comment(b": a\n\n") == b"a"
    assert reader.one_comment(b":%b\n\n" % (b"a" * 100)) is None
    assert reader.one_comment(b": a\rb\n\n") is None
    assert reader.one_comment(b": a\n\n: b\n\n") is None
    reader.feed(b"data: a\n")
    assert reader.one_comment(b": a\n\n") is None


@pytest.mark.parametrize("first", [b": a\n\n", b"data: a\n\n"])
def test_a_byte_order_mark_behind_the_first_line_is_a_part_of_the_line(first: bytes) -> None:
    reader = SseReader()
    assert len(taken(reader, first)) == 1
    assert reader.feed(b"\xef\xbb\xbfdata: b\n\n") == []


@given(stream=STREAMS)
def test_byte_by_byte_reads_like_the_naive_reader(stream: bytes) -> None:
    reader = SseReader()
    found = [event for i in range(len(stream)) for event in reader.feed(stream[i : i + 1])]
    assert found == naive(stream)


def test_pending_tells_of_an_unfinished_event() -> None:
    reader = SseReader()
    assert not reader.pending
    for piece in (b"da", b"ta: 1", b"\n"):
        assert reader.feed(piece) == []
        assert reader.pending
    assert reader.feed(b"\n") == [Message(b"1")]
    assert not reader.pending


@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + b"x" * 200,
        b"data: " + b"x" * 200 + b"\n\n",
        b"data: xxxxxxxxxx\n" * 12,
        b"data\n" * 200,
        b": " + b"x" * 200 + b"\n",
        b"event: " + b"x" * 200 + b"\n",
    ],
)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_an_event_over_the_bound_is_refused(stream: bytes, step: int) -> None:
    reader = SseReader(max_event=100)
    steps = [stream[start : start + step] for start in range(0, len(stream), step)]
    with pytest.raises(OversizedEventError, match="100 bytes"):
        list(map(reader.feed, steps))


def test_the_bound_is_of_one_event_not_of_the_stream() -> None:
    reader = SseReader(max_event=100)
    stream = (b": " + b"x" * 50 + b"\n" + b"data: " + b"x" * 50 + b"\n\n") * 20
    assert len(reader.feed(stream)) == 40
    for start in range(0, len(stream), 3):
        reader.feed(stream[start : start + 3])


@budget(0.5)
def test_a_large_event_in_small_pieces_takes_linear_time(within: float) -> None:
    event = b"data: " + b"x" * 5_000_000 + b"\n\n"
    reader = SseReader()
    began = time.process_time()
    found = [e for i in range(0, len(event), 1000) for e in reader.feed(event[i : i + 1000])]
    assert time.process_time() - began < within
    assert found == [Message(event[6:-2])]
